package mongodb

import (
	"slices"
	"strings"

	"github.com/rota-dev/rota/provider"
)

// connectionConfig is a deployment and the user to log in as.
type connectionConfig struct {
	At            provider.Pos    `json:"-"`
	Hosts         []provider.Text `json:"hosts,omitzero" jsonschema:"Servers of the deployment: host:port. The other members of a replica set are found by themselves."`
	SRV           provider.Text   `json:"srv,omitzero" jsonschema:"The name of a DNS seed list, as in mongodb+srv://NAME, instead of hosts."`
	Username      provider.Text   `json:"username" jsonschema:"The user that Rota logs in as."`
	Password      provider.Text   `json:"password,omitzero" secret:"true" jsonschema:"Its password: a reference such as ${file:/run/secrets/mongodb}."`
	AuthSource    provider.Text   `json:"auth_source,omitzero" default:"admin" jsonschema:"The database that this user is in."`
	AuthMechanism provider.Plain  `json:"auth_mechanism,omitzero" enum:"SCRAM-SHA-256,SCRAM-SHA-1" default:"the stronger one that the user has" jsonschema:"How Rota itself logs in."`
	ReplicaSet    provider.Text   `json:"replica_set,omitzero" default:"any" jsonschema:"The name that the replica set must have."`
	Direct        provider.Bool   `json:"direct,omitzero" default:"false" jsonschema:"Asks the one host alone, even if it's a member of a replica set."`
	TLS           provider.Bool   `json:"tls,omitzero" default:"true, and false on loopback addresses" jsonschema:"Encrypts connections and verifies the server's certificate. It can be false on loopback addresses only, because new passwords are sent to the server."`
	provider.TLSFiles
	Timeout provider.Duration `json:"timeout,omitzero" default:"10s" jsonschema:"The timeout for logging in, and for each command."`
}

// Validate implements [provider.Validator].
func (c *connectionConfig) Validate(v *provider.Validation) {
	if (len(c.Hosts) == 0) == !c.SRV.IsSet() {
		v.Problem(c.At, "hosts", "hosts: [db1.internal, db2.internal], or srv: cluster.internal", "exactly one of hosts and srv is needed")
	}
	var plain []string
	for _, h := range c.Hosts {
		host, literal := h.Literal()
		if !literal || host == "" {
			continue
		}
		address, err := endpoint(host)
		if err != nil {
			v.Problem(h.At, "hosts", "db1.internal:27017, with everything else in keys of its own", "a host %v", err)
			continue
		}
		plain = append(plain, address)
	}
	if name, literal := c.SRV.Literal(); literal && name != "" {
		if err := seedList(name); err != nil {
			v.Problem(c.SRV.At, "srv", "cluster.internal, with everything else in keys of its own", "it %v", err)
		}
	}
	checkSource(v, c.AuthSource)
	c.CheckTLS(v, c.At)
	switch off := c.TLS.At.IsSet() && !c.TLS.Yes; {
	case off && (c.TLSCA.IsSet() || c.TLSCert.IsSet()):
		v.Problem(c.TLS.At, "tls", "true", "false makes no use of certificates")
	case off && (c.SRV.IsSet() || len(plain) > 0 && !loopback(plain...)):
		v.Problem(c.TLS.At, "tls", "true", "MongoDB has to be sent new passwords themselves, which everyone on the way could read without TLS")
	}
	if c.Direct.Yes && len(c.Hosts) != 1 {
		v.Problem(c.Direct.At, "direct", "one host", "it asks a single host")
	}
}

// checkSource reports a database that can have no user with a password.
func checkSource(v *provider.Validation, source provider.Text) {
	if name, literal := source.Literal(); literal && name != "" {
		if err := notExternal(name); err != nil {
			v.Error(source.At, "auth_source", err)
		}
	}
}

// Open implements [provider.ConnectionConfig].
func (c *connectionConfig) Open(b *provider.Build) (any, error) {
	cfg := Config{
		Hosts:         b.Texts(c.Hosts),
		SRV:           b.Text(c.SRV),
		Username:      b.Text(c.Username),
		Password:      b.Text(c.Password),
		AuthSource:    b.Text(c.AuthSource),
		AuthMechanism: c.AuthMechanism.Text,
		ReplicaSet:    b.Text(c.ReplicaSet),
		Direct:        c.Direct.Yes,
		Certificates:  c.Certificates(b),
		Timeout:       c.Timeout.Length,
		Reach:         b.Reach,
	}
	if c.TLS.At.IsSet() {
		cfg.TLS = &c.TLS.Yes
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return New(b.Name, cfg)
}

// Scope implements [provider.Scoper]: the same hosts have the same users.
func (c *connectionConfig) Scope(k *provider.Known) string {
	if c.SRV.IsSet() {
		name, known := k.Text(c.SRV)
		if !known || name == "" {
			return ""
		}
		return "srv\x00" + strings.ToLower(name)
	}
	var all []string
	for _, h := range c.Hosts {
		text, known := k.Text(h)
		address, err := endpoint(text)
		if !known || err != nil {
			return ""
		}
		if loopback(address) {
			address = "localhost" + address[strings.LastIndex(address, ":"):]
		}
		all = append(all, strings.ToLower(address))
	}
	slices.Sort(all)
	return strings.Join(all, "\x00")
}
