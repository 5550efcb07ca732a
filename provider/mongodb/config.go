package mongodb

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Config says how Rota logs in to change users.
type Config struct {
	// Hosts are servers of the deployment: host or host:port. The driver finds the
	// other members of a replica set by itself.
	Hosts []string
	// SRV is the name of a DNS seed list, as in mongodb+srv://NAME, instead of Hosts.
	SRV string
	// Username is Rota's own user, and Password its password.
	Username, Password string
	// AuthSource is the database that Rota's own user is in. Defaults to admin.
	AuthSource string
	// AuthMechanism is SCRAM-SHA-256 or SCRAM-SHA-1, for Rota's own login. Defaults
	// to the stronger one that the user has.
	AuthMechanism string
	// ReplicaSet is the name that the replica set must have. Defaults to any.
	ReplicaSet string
	// Direct asks the one host alone, even if it's a member of a replica set.
	Direct bool
	// TLS encrypts connections and verifies the server's certificate. nil means yes,
	// and no if all hosts are loopback addresses. It can't be turned off for others.
	TLS *bool
	// Certificates are the authorities to trust, and the client's own certificate.
	Certificates provider.Certificates
	// Timeout limits one login, and one command. Defaults to 10 s.
	Timeout time.Duration
	// Reach decides which addresses may be reached; nil for all.
	Reach provider.Reach
}

const (
	defaultPort    = "27017"
	defaultTimeout = 10 * time.Second
	// defaultSource is the database that users are in if nobody says otherwise.
	defaultSource = "admin"
	// maxConns is the maximum number of Rota's own connections to a server.
	maxConns = 16
)

// mechanisms are those whose passwords can be rotated.
var mechanisms = []string{"SCRAM-SHA-256", "SCRAM-SHA-1"}

func (c Config) withDefaults() Config {
	if c.AuthSource == "" {
		c.AuthSource = defaultSource
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	refuse := func(hint, format string, args ...any) {
		errs = append(errs, rota.WithRemedies(fmt.Errorf(format, args...), rota.Configure("", hint)))
	}
	if (len(c.Hosts) == 0) == (c.SRV == "") {
		refuse("hosts: [db1.internal, db2.internal], or srv: cluster.internal", "exactly one of hosts and srv is needed")
	}
	for i, host := range c.Hosts {
		if _, err := endpoint(host); err != nil {
			// It isn't repeated: it may be a URI with a password.
			refuse("db1.internal:27017, with everything else in keys of its own", "host %d: %w", i+1, err)
		}
	}
	if c.SRV != "" {
		if err := seedList(c.SRV); err != nil {
			refuse("cluster.internal, with everything else in keys of its own", "srv: %w", err)
		}
	}
	if c.Username == "" {
		refuse("a user for Rota itself", "username is empty")
	}
	if c.AuthMechanism != "" && !slices.Contains(mechanisms, c.AuthMechanism) {
		refuse(strings.Join(mechanisms, ", or "), "auth_mechanism %q isn't one that Rota has", c.AuthMechanism)
	}
	if err := notExternal(c.AuthSource); err != nil {
		errs = append(errs, err)
	}
	if c.TLS != nil && !*c.TLS && !loopback(c.endpoints()...) {
		refuse("tls: true", "tls: MongoDB has to be sent new passwords themselves, which everyone on the way could read without TLS")
	}
	if c.Direct && len(c.Hosts) != 1 {
		refuse("one host", "direct asks a single host")
	}
	if c.Timeout < 0 {
		refuse("", "timeout %s is negative", c.Timeout)
	}
	return errors.Join(errs...)
}

// notExternal refuses users whose password MongoDB doesn't have.
func notExternal(source string) error {
	switch {
	case source == "$external":
		return rota.WithRemedies(errors.New("users in $external log in by X.509, LDAP, Kerberos or a cloud's identity, and MongoDB has no password of theirs"),
			rota.Configure("", "rotate it where it is: LDAP passwords with provider ldap, for example"))
	case source == "local" || strings.ContainsAny(source, "/\\. \"$*<>:|?\x00"):
		return rota.WithRemedies(errors.New("no user can be in a database of that name"), rota.Configure("", "admin, or the database that the user was created in"))
	}
	return nil
}

// endpoint is a host as the driver takes it.
func endpoint(address string) (string, error) {
	if strings.ContainsAny(address, "@/? ,") {
		return "", errors.New("is a URI or has a login in it")
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host, port = strings.Trim(address, "[]"), defaultPort
	}
	if n, err := strconv.Atoi(port); host == "" || err != nil || n < 1 || n > 65535 {
		return "", errors.New("isn't a host, or a host and a port")
	}
	return net.JoinHostPort(host, port), nil
}

// seedList checks the name of a DNS seed list.
func seedList(name string) error {
	if strings.ContainsAny(name, "@/?: ,") {
		return errors.New("is a URI, or has a login or a port in it")
	}
	return nil
}

// endpoints are the hosts, as validate has read them.
func (c Config) endpoints() []string {
	all := make([]string, len(c.Hosts))
	for i, host := range c.Hosts {
		all[i], _ = endpoint(host)
	}
	return all
}

// encrypted reports whether connections use TLS.
func (c Config) encrypted() bool {
	if c.TLS != nil {
		return *c.TLS
	}
	return !loopback(c.endpoints()...)
}

// loopback reports whether traffic to all endpoints stays on this machine.
func loopback(endpoints ...string) bool {
	return len(endpoints) > 0 && !slices.ContainsFunc(endpoints, func(endpoint string) bool {
		host, _, _ := net.SplitHostPort(endpoint)
		return !provider.Loopback(host)
	})
}
