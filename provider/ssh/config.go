package ssh

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/rota-dev/rota"
)

// Config says how Rota logs in to hosts.
type Config struct {
	// Hosts are the hosts: a name or address, with a port if it isn't 22.
	Hosts []string
	// User is the user to log in as.
	User string
	// PrivateKey is the user's private key in PEM or OpenSSH's format, and
	// Passphrase what decrypts it.
	PrivateKey, Passphrase string
	// Certificate is what an authority signed for the private key, as in a file
	// whose name ends in -cert.pub.
	Certificate string
	// Password is the user's password.
	Password string
	// AgentSocket is the socket of an agent that has keys; "" for none.
	AgentSocket string
	// KnownHosts are the host keys to accept, as in a known_hosts file.
	KnownHosts string
	// Via is how the hosts are reached; nil for directly.
	Via *Connection
	// Timeout limits a login, and each script on a host. Defaults to 10 s.
	Timeout time.Duration
	// Keepalive is how often a host is asked whether it's still there. Defaults to
	// 15 s.
	Keepalive time.Duration
}

const (
	defaultPort      = "22"
	defaultTimeout   = 10 * time.Second
	defaultKeepalive = 15 * time.Second
)

func (c Config) withDefaults() Config {
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.Keepalive == 0 {
		c.Keepalive = defaultKeepalive
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	refuse := func(hint, format string, args ...any) {
		errs = append(errs, rota.WithRemedies(fmt.Errorf(format, args...), rota.Configure("", hint)))
	}
	if len(c.Hosts) == 0 {
		refuse("hosts: [web-1.internal]", "no host")
	}
	for i, host := range c.Hosts {
		if _, err := endpoint(host); err != nil {
			refuse("web-1.internal, with the user in a key of its own", "host %d: %w", i+1, err)
		}
	}
	if err := checkUser(c.User); err != nil {
		refuse("", "%w", err)
	}
	if c.PrivateKey == "" && c.Password == "" && c.AgentSocket == "" {
		refuse("private_key: \"${file:/run/secrets/ssh}\"", "nothing to log in with: no private_key, password or agent")
	}
	if c.Certificate != "" && c.PrivateKey == "" {
		refuse("private_key", "a certificate belongs to a private_key")
	}
	if c.Timeout < 0 || c.Keepalive < 0 {
		refuse("", "a timeout is negative")
	}
	return errors.Join(errs...)
}

// endpoint is a host's address with its port.
func endpoint(host string) (addr string, err error) {
	if strings.ContainsAny(host, "@/ \t\r\n") {
		return "", errors.New("is a URL or has a user in it")
	}
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port = strings.Trim(host, "[]"), defaultPort
	}
	if n, err := strconv.Atoi(port); name == "" || err != nil || n < 1 || n > 65535 {
		return "", errors.New("isn't a host, or a host and a port")
	}
	return net.JoinHostPort(strings.ToLower(strings.TrimSuffix(name, ".")), port), nil
}

// shown is an address as people write it.
func shown(addr string) string {
	if host, port, err := net.SplitHostPort(addr); err == nil && port == defaultPort {
		return host
	}
	return addr
}

// userName is what a Unix user's name looks like: nothing that a shell, sudo or
// chpasswd would read as anything else.
var userName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$`)

func checkUser(name string) error {
	switch {
	case name == "":
		return errors.New("the user's name is empty")
	case !userName.MatchString(name):
		return rota.WithRemedies(fmt.Errorf("%q isn't a Unix user's name", name), rota.Configure("", "letters, digits, _ - and ."))
	}
	return nil
}

// errPassphrase: a private key is encrypted, and there's nothing to decrypt it.
var errPassphrase = errors.New("private_key is encrypted, and passphrase is missing")

// signers are what the private key and its certificate sign with.
func (c Config) signers() ([]ssh.Signer, error) {
	if c.PrivateKey == "" {
		return nil, nil
	}
	signer, err := parseSigner(c.PrivateKey, c.Passphrase)
	if err != nil {
		return nil, err
	}
	if c.Certificate == "" {
		return []ssh.Signer{signer}, nil
	}
	public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(c.Certificate))
	certificate, ok := public.(*ssh.Certificate)
	if err != nil || !ok || certificate.CertType != ssh.UserCert {
		return nil, rota.WithRemedies(errors.New("certificate isn't a user's certificate"), rota.Configure("certificate", "the text of the file that ends in -cert.pub"))
	}
	certified, err := ssh.NewCertSigner(certificate, signer)
	if err != nil {
		return nil, rota.WithRemedies(errors.New("certificate is for another private_key"), rota.Configure("certificate", "what the authority signed for this private_key"))
	}
	return []ssh.Signer{certified, signer}, nil
}

// parseSigner reads a private key. Its errors don't repeat any of it.
func parseSigner(text, passphrase string) (ssh.Signer, error) {
	text = strings.TrimSpace(text) + "\n"
	signer, err := ssh.ParsePrivateKey([]byte(text))
	if _, encrypted := errors.AsType[*ssh.PassphraseMissingError](err); encrypted {
		if passphrase == "" {
			return nil, rota.WithRemedies(errPassphrase, rota.Configure("passphrase", "a reference such as ${file:/run/secrets/ssh-passphrase}"))
		}
		if signer, err = ssh.ParsePrivateKeyWithPassphrase([]byte(text), []byte(passphrase)); err != nil {
			return nil, rota.WithRemedies(errors.New("passphrase doesn't decrypt private_key"), rota.Configure("passphrase", "the key's passphrase"))
		}
		return signer, nil
	}
	if err != nil {
		return nil, rota.WithRemedies(errors.New("private_key can't be read"), rota.Configure("private_key", "a private key in PEM or OpenSSH's format"))
	}
	return signer, nil
}
