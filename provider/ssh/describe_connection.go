package ssh

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// connectionConfig is the hosts and the user to log in as.
type connectionConfig struct {
	At          provider.Pos            `json:"-"`
	Hosts       []provider.Text         `json:"hosts" jsonschema:"The hosts: names or addresses, with a port if it isn't 22. Everything that uses the connection happens on all of them."`
	User        provider.Text           `json:"user" jsonschema:"The user that Rota logs in as."`
	PrivateKey  provider.Text           `json:"private_key,omitzero" secret:"true" jsonschema:"The user's private key, in PEM or OpenSSH's format: a reference such as ${file:/run/secrets/ssh}."`
	Passphrase  provider.Text           `json:"passphrase,omitzero" secret:"true" jsonschema:"What decrypts the private key."`
	Certificate provider.Text           `json:"certificate,omitzero" public:"true" jsonschema:"What a certificate authority signed for the private key: a reference such as ${file:/run/secrets/ssh-cert.pub}."`
	Password    provider.Text           `json:"password,omitzero" secret:"true" jsonschema:"The user's password, if the hosts take one."`
	Agent       provider.Bool           `json:"agent,omitzero" default:"false" jsonschema:"Logs in with the keys of the agent that SSH_AUTH_SOCK names."`
	KnownHosts  provider.Text           `json:"known_hosts" public:"true" jsonschema:"The host keys to accept, or the authority that signs them (@cert-authority), as in a known_hosts file: a reference such as ${file:/etc/rota/known_hosts}."`
	Via         provider.ConnectionName `json:"via,omitzero" kind:"ssh" jsonschema:"The connection to the jump host, which can have one of its own."`
	Timeout     provider.Duration       `json:"timeout,omitzero" default:"10s" jsonschema:"The timeout for logging in, and for each script on a host."`
	Keepalive   provider.Duration       `json:"keepalive,omitzero" default:"15s" jsonschema:"How often a host is asked whether it's still there. After three times without an answer, the connection is closed."`
}

// Validate implements [provider.Validator].
func (c *connectionConfig) Validate(v *provider.Validation) {
	if len(c.Hosts) == 0 {
		v.Problem(c.At, "hosts", "hosts: [web-1.internal]", "no host")
	}
	for _, h := range c.Hosts {
		if host, plain := h.Literal(); plain && host != "" {
			if _, err := endpoint(host); err != nil {
				v.Problem(h.At, "hosts", "web-1.internal, with the user in a key of its own", "a host %v", err)
			}
		}
	}
	if name, plain := c.User.Literal(); plain && name != "" {
		if err := checkUser(name); err != nil {
			v.Error(c.User.At, "user", err)
		}
	}
	if !c.PrivateKey.IsSet() && !c.Password.IsSet() && !c.Agent.Yes {
		v.Problem(c.At, "", `private_key: "${file:/run/secrets/ssh}"`, "nothing to log in with: no private_key, password or agent")
	}
	if (c.Certificate.IsSet() || c.Passphrase.IsSet()) && !c.PrivateKey.IsSet() {
		v.Problem(c.At, "private_key", `"${file:/run/secrets/ssh}"`, "certificate and passphrase belong to a private_key")
	}
	if text, plain := c.KnownHosts.Literal(); plain && text != "" {
		if _, err := readKnownHosts(text); err != nil {
			v.Error(c.KnownHosts.At, "known_hosts", rota.WithRemedies(errors.New(strings.TrimPrefix(err.Error(), "known_hosts: ")), rota.RemediesOf(err)))
		}
	}
	for key, d := range map[string]provider.Duration{"timeout": c.Timeout, "keepalive": c.Keepalive} {
		if d.IsSet() && d.Length == 0 {
			v.Problem(d.At, key, "15s", "must be more than nothing")
		}
	}
}

// Open implements [provider.ConnectionConfig].
func (c *connectionConfig) Open(b *provider.Build) (any, error) {
	cfg := Config{
		Hosts: b.Texts(c.Hosts), User: b.Text(c.User),
		PrivateKey: b.Text(c.PrivateKey), Passphrase: b.Text(c.Passphrase), Certificate: b.Text(c.Certificate), Password: b.Text(c.Password),
		KnownHosts: b.Text(c.KnownHosts), Timeout: c.Timeout.Length, Keepalive: c.Keepalive.Length,
	}
	if c.Via.IsSet() {
		cfg.Via = provider.Open[*Connection](b, c.Via.Text)
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	if c.Agent.Yes {
		if cfg.AgentSocket = os.Getenv("SSH_AUTH_SOCK"); cfg.AgentSocket == "" {
			return nil, rota.WithRemedies(errors.New("agent: SSH_AUTH_SOCK isn't set where Rota runs"), rota.Outside("start an agent, and Rota with its SSH_AUTH_SOCK"))
		}
	}
	return New(b.Name, cfg)
}

// Scope implements [provider.Scoper].
func (c *connectionConfig) Scope(k *provider.Known) string {
	all := c.addresses(k)
	slices.Sort(all)
	return strings.Join(all, "\x00")
}

// addresses are the hosts' addresses; none if one isn't known.
func (c *connectionConfig) addresses(k *provider.Known) []string {
	var all []string
	for _, h := range c.Hosts {
		host, known := k.Text(h)
		addr, err := endpoint(host)
		if !known || err != nil {
			return nil
		}
		if !slices.Contains(all, addr) {
			all = append(all, addr)
		}
	}
	return all
}

// hostsOf are the addresses of a connection's hosts.
func hostsOf(k *provider.Known, connection string) []string {
	if c, ok := k.Config(connection).(*connectionConfig); ok {
		return c.addresses(k)
	}
	return nil
}

// scope names a host in a claim: two connections to the same host reach the same
// files and users. Of an address there's one spelling, and this machine has one name.
func scope(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "ssh " + addr
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		if host = ip.Unmap().String(); ip.Unmap().IsLoopback() {
			host = thisMachine
		}
	}
	return "ssh " + net.JoinHostPort(host, port)
}

const thisMachine = "localhost"
