package ssh

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/rota-dev/rota"
)

// hostKeys are the host keys and authorities that a known_hosts text names.
type hostKeys struct {
	verify    ssh.HostKeyCallback
	authority []bool        // by line: the key signs certificates
	stranger  ssh.PublicKey // a key that no host has
}

// readKnownHosts reads a known_hosts text. There's no way to accept any host.
func readKnownHosts(text string) (*hostKeys, error) {
	refuse := func(format string, args ...any) (*hostKeys, error) {
		return nil, rota.WithRemedies(fmt.Errorf("known_hosts: "+format, args...),
			rota.Configure("known_hosts", "what ssh-keyscan prints, compared with ssh-keygen -lf on the host; or a line @cert-authority *.internal with the authority's key"))
	}
	h := &hostKeys{}
	keys := 0
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		h.authority = append(h.authority, strings.HasPrefix(line, "@cert-authority"))
		if line != "" && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "@revoked") {
			keys++
		}
	}
	if keys == 0 {
		return refuse("has no host key, and hosts are always verified")
	}
	// The package reads files only.
	file, err := os.CreateTemp("", "rota-known-hosts-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(file.Name()) }()
	_, err = file.WriteString(lowerHosts(text))
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	if h.verify, err = knownhosts.New(file.Name()); err != nil {
		return refuse("%s", strings.TrimPrefix(strings.ReplaceAll(err.Error(), file.Name()+":", "line "), "knownhosts: "))
	}
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	h.stranger, err = ssh.NewPublicKey(public)
	return h, err
}

// lowerHosts writes the names of a known_hosts text in lower case, which Rota asks
// for and OpenSSH doesn't mind. Hashed names are left alone.
func lowerHosts(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		at := 0
		if len(fields) > 0 && strings.HasPrefix(fields[0], "@") {
			at = 1
		}
		if len(fields) > at && !strings.HasPrefix(fields[0], "#") && !strings.HasPrefix(fields[at], "|") {
			line = strings.Replace(line, fields[at], strings.ToLower(fields[at]), 1)
		}
		b.WriteString(line)
	}
	return b.String()
}

// entry is the name that known_hosts has a host under. As in OpenSSH, a host on a
// port of its own that isn't listed with it may be listed without, such as under *.
func (h *hostKeys) entry(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || port == defaultPort {
		return addr
	}
	if unknown, ok := errors.AsType[*knownhosts.KeyError](h.verify(addr, &net.TCPAddr{}, h.stranger)); ok && len(unknown.Want) == 0 {
		return net.JoinHostPort(host, defaultPort)
	}
	return addr
}

// algorithms are those of the keys that a host may show: without them it might
// show a key of another kind, which isn't known. nil if no key is known.
func (h *hostKeys) algorithms(addr string) []string {
	unknown, ok := errors.AsType[*knownhosts.KeyError](h.verify(h.entry(addr), &net.TCPAddr{}, h.stranger))
	if !ok {
		return nil
	}
	var certified, plain []string
	for _, want := range unknown.Want {
		if at := want.Line - 1; at < len(h.authority) && h.authority[at] {
			certified = []string{ssh.CertAlgoED25519v01, ssh.CertAlgoECDSA256v01, ssh.CertAlgoECDSA384v01, ssh.CertAlgoECDSA521v01, ssh.CertAlgoRSASHA512v01, ssh.CertAlgoRSASHA256v01}
			continue
		}
		if want.Key.Type() == ssh.KeyAlgoRSA {
			plain = append(plain, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
			continue
		}
		plain = append(plain, want.Key.Type())
	}
	slices.Sort(plain)
	return append(certified, slices.Compact(plain)...)
}

// hostKeyError is a host that isn't the one that known_hosts knows.
type hostKeyError struct {
	addr        string
	fingerprint string // of what it showed
	reason      string
}

func (e *hostKeyError) Error() string {
	return fmt.Sprintf("host key %s of %s: %s", e.fingerprint, shown(e.addr), e.reason)
}

// hostCheck is how the check of a host's key ended.
type hostCheck struct {
	verified bool
	rejected *hostKeyError
}

// check verifies a host's key, and remembers how that ended.
func (h *hostKeys) check(addr string, result *hostCheck) ssh.HostKeyCallback {
	return func(name string, remote net.Addr, key ssh.PublicKey) error {
		err := h.verify(h.entry(name), remote, key)
		if err == nil {
			result.verified = true
			return nil
		}
		e := &hostKeyError{addr: addr, fingerprint: ssh.FingerprintSHA256(key), reason: strings.TrimPrefix(err.Error(), "ssh: ")}
		if certificate, ok := key.(*ssh.Certificate); ok {
			e.fingerprint = ssh.FingerprintSHA256(certificate.Key)
		}
		if unknown, ok := errors.AsType[*knownhosts.KeyError](err); ok {
			e.reason = "it isn't the one in known_hosts"
			if len(unknown.Want) == 0 {
				e.reason = "known_hosts has no key for this host"
			}
		}
		if _, revoked := errors.AsType[*knownhosts.RevokedError](err); revoked {
			e.reason = "known_hosts says that it was revoked"
		}
		result.rejected = e
		return e
	}
}

func (e *hostKeyError) remedies() []rota.Remedy {
	return rota.Outside(fmt.Sprintf("if ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub on %s itself shows this fingerprint, put the host's key into known_hosts; if it doesn't, somebody else answers for the host", shown(e.addr)))
}
