package ssh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"

	"github.com/rota-dev/rota"
)

// KeysConfig describes the keys of a user on a connection's hosts.
type KeysConfig struct {
	// User is the user that the keys log in as.
	User string
	// Name tells Rota's lines of a user's file from those of other secrets. Defaults
	// to "default".
	Name string
	// Algorithm is that of new pairs. Defaults to [AlgorithmEd25519].
	Algorithm string
	// Options are those of new lines, such as from="10.0.0.0/8". nil means those of
	// the line before.
	Options *string
	// Path is the file with the keys. Defaults to .ssh/authorized_keys in the user's
	// home folder.
	Path string
	// RunAs is who edits the file, through sudo. Defaults to the user, and to the
	// connection's user if a Path is given.
	RunAs string
}

// keys rotates key pairs in the authorized_keys of one user, on every host.
type keys struct {
	c     *Connection
	cfg   KeysConfig
	place place
}

var (
	_ rota.Issuer      = (*keys)(nil)
	_ rota.Lister      = (*keys)(nil)
	_ rota.Teller      = (*keys)(nil)
	_ rota.Completer   = (*keys)(nil)
	_ rota.Deactivator = (*keys)(nil)
	_ rota.Preflighter = (*keys)(nil)
)

// keyTraits: a user can have any number of keys. One login proves a key, since each
// host is tried, and reads its file at every login.
func keyTraits() rota.Traits {
	return rota.Traits{Kind: "SSH key", TestSuccesses: 1, FromCurrent: true}
}

const defaultName = "default"

// keyName is what the keys of a secret can be called in a comment.
var keyName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.@/+-]{0,99}$`)

// Keys returns the issuer for a user's keys.
func (c *Connection) Keys(cfg KeysConfig) (rota.Issuer, error) {
	cfg.Name, cfg.Algorithm = cmp.Or(cfg.Name, defaultName), cmp.Or(cfg.Algorithm, AlgorithmEd25519)
	fail := func(err error) (rota.Issuer, error) { return nil, fmt.Errorf("%s: %w", c.system(), err) }
	if err := checkUser(cfg.User); err != nil {
		return fail(err)
	}
	if cfg.RunAs != "" {
		if err := checkUser(cfg.RunAs); err != nil {
			return fail(err)
		}
	}
	if !keyName.MatchString(cfg.Name) {
		return fail(errors.New("the keys' name isn't one word of letters and digits"))
	}
	if !slices.Contains([]string{AlgorithmEd25519, AlgorithmECDSA, AlgorithmRSA}, cfg.Algorithm) {
		return fail(fmt.Errorf("algorithm %q isn't one of ed25519, ecdsa, rsa", cfg.Algorithm))
	}
	if cfg.Options != nil {
		if err := checkOptions(*cfg.Options); err != nil {
			return fail(err)
		}
	}
	p := place{path: cfg.Path, as: c.through(cfg.RunAs), keepMode: true}
	if cfg.Path == "" {
		p.path, p.home, p.as = ".ssh/authorized_keys", cfg.User, c.through(cmp.Or(cfg.RunAs, cfg.User))
	} else if err := checkPath(cfg.Path); err != nil {
		return fail(err)
	}
	return &keys{c: c, cfg: cfg, place: p}, nil
}

// checkOptions tries a line with the options.
func checkOptions(options string) error {
	const sample = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8ZqzKqyWSZb6Eo0FtJ2gXjK9iGmY9oGZpVvK1H1bLr x"
	lines := readKeys([]byte(strings.TrimSpace(options + " " + sample)))
	if strings.ContainsAny(options, "\r\n\x00") || len(lines) != 1 || lines[0].key == nil || lines[0].options != options {
		return rota.WithRemedies(errors.New("options can't stand before a key in authorized_keys"), rota.Configure("options", `from="10.0.0.0/8",no-pty`))
	}
	return nil
}

// Traits implements [rota.Issuer].
func (k *keys) Traits() rota.Traits { return keyTraits() }

// CredentialID implements [rota.Issuer]: the public key's fingerprint.
func (k *keys) CredentialID(c rota.Credential) string {
	if public := publicOf(c); public != nil {
		return ssh.FingerprintSHA256(public)
	}
	return ""
}

// Complete implements [rota.Completer]: the private key says all the rest.
func (k *keys) Complete(c rota.Credential) rota.Credential {
	fields := c.Fields()
	if fields == nil {
		fields = map[string]string{}
	}
	if fields[rota.FieldUsername] == "" {
		fields[rota.FieldUsername] = k.cfg.User
	}
	if public := publicOf(c); fields[FieldPublicKey] == "" && public != nil {
		fields[FieldPublicKey] = publicText(public, marker(k.cfg.Name))
	}
	return rota.NewCredential(fields)
}

// Create implements [rota.Issuer]: it makes a pair, and touches nothing.
func (k *keys) Create(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
	op := "make a key for " + k.cfg.User
	if err := ctx.Err(); err != nil {
		return rota.Credential{}, k.c.failed(ctx, op, err)
	}
	private, public, err := newPair(k.cfg.Algorithm, marker(k.cfg.Name))
	if err != nil {
		return rota.Credential{}, k.c.failed(ctx, op, err)
	}
	fields := map[string]string{rota.FieldUsername: k.cfg.User, FieldPrivateKey: private, FieldPublicKey: public}
	if before := k.CredentialID(r.Current); before != "" {
		fields[fieldReplaces] = before
	}
	return rota.NewCredential(fields), nil
}

// ours rejects a credential of another user, or one whose halves don't fit.
func (k *keys) ours(op string, c rota.Credential) (ssh.Signer, error) {
	if user := c.Field(rota.FieldUsername); user != k.cfg.User {
		return nil, k.c.stop(op, fmt.Errorf("user %q isn't this secret's, which is %s", user, k.cfg.User), rota.Outside("a stored credential whose username is "+k.cfg.User))
	}
	signer, err := signerOf(c)
	if err != nil {
		return nil, k.c.stop(op, err, rota.Outside("a stored credential with a pair's private and public key, without a passphrase"))
	}
	return signer, nil
}

// edit changes the keys on every host. Content that's the same isn't written.
func (k *keys) edit(ctx context.Context, op string, used rota.Credential, change func(n *node, lines []keyLine) ([]keyLine, error)) error {
	return k.c.each(ctx, op, func(ctx context.Context, n *node) error {
		return k.c.failed(ctx, n.at(op), k.place.change(ctx, n, func(f *found) ([]byte, error) {
			lines, err := change(n, readKeys(f.content))
			if err != nil {
				return nil, err
			}
			return writeKeys(lines), nil
		}), used)
	})
}

// Set implements [rota.Issuer]: it adds a line for the key on every host.
func (k *keys) Set(ctx context.Context, r rota.SetRequest) error {
	op := "let in a new key of " + k.cfg.User
	signer, err := k.ours(op, r.Credential)
	if err != nil {
		return err
	}
	return k.edit(ctx, op, r.Credential, func(_ *node, lines []keyLine) ([]keyLine, error) {
		return allow(lines, newKey{public: signer.PublicKey(), name: k.cfg.Name, replaces: r.Credential.Field(fieldReplaces), options: k.cfg.Options}), nil
	})
}

// Test implements [rota.Issuer]: the key has to log in on every host. Nothing is
// run there, since the key may be for one command only.
func (k *keys) Test(ctx context.Context, r rota.TestRequest) error {
	op := "log in as " + k.cfg.User
	signer, err := parseSigner(r.Credential.Field(FieldPrivateKey), "")
	if err != nil || r.Credential.Field(rota.FieldUsername) != k.cfg.User {
		_, err := k.ours(op, r.Credential)
		return err
	}
	return k.c.each(ctx, op, func(ctx context.Context, n *node) error {
		return n.tryLogin(ctx, n.at(op), login{user: k.cfg.User, signers: []ssh.Signer{signer}}, k.whyRefused(), r.Credential)
	})
}

// whyRefused is what a person can look for if a host refuses a key that's in the
// file.
func (k *keys) whyRefused() string {
	return fmt.Sprintf("if the key is in %s, look for %s in sshd's log on the host: sshd may read other files (AuthorizedKeysFile, for which there's path), take no keys of this algorithm (PubkeyAcceptedAlgorithms) or ask for a password as well (AuthenticationMethods), the line's options may not allow it (from, expiry-time), or the account may be locked or expired",
		k.place.shown(), k.cfg.User)
}

// tryLogin logs in with a rotated credential and out again.
func (n *node) tryLogin(ctx context.Context, op string, l login, remedy string, used rota.Credential) error {
	if err := ctx.Err(); err != nil {
		return n.c.failed(ctx, op, err)
	}
	client, err := n.c.connect(ctx, n.addr, l)
	if rejected(err) {
		return n.c.refused(op, l.user, remedy)
	}
	if err != nil {
		return n.c.failed(ctx, op, err, used)
	}
	_ = client.Close()
	return nil
}

// InForce implements [rota.Teller]: every host lets the key in.
func (k *keys) InForce(ctx context.Context, c rota.Credential) (inForce, known bool, err error) {
	op := "look which keys " + k.cfg.User + " has"
	signer, err := signerOf(c)
	if err != nil {
		return false, true, nil //nolint:nilerr // it can't log in anywhere
	}
	if c.Field(rota.FieldUsername) != k.cfg.User {
		return false, false, nil
	}
	var mu sync.Mutex
	inForce = true
	err = k.look(ctx, op, func(_ *node, lines []keyLine) {
		_, active := has(lines, ssh.FingerprintSHA256(signer.PublicKey()))
		mu.Lock()
		defer mu.Unlock()
		inForce = inForce && active
	})
	return inForce && err == nil, err == nil, err
}

// look reads the keys on every host.
func (k *keys) look(ctx context.Context, op string, see func(*node, []keyLine)) error {
	return k.c.each(ctx, op, func(ctx context.Context, n *node) error {
		f, err := k.place.read(ctx, n)
		if err == nil {
			see(n, readKeys(f.content))
		}
		return k.c.failed(ctx, n.at(op), err)
	})
}

// List implements [rota.Lister]: the keys in the file of any host, whoever's.
func (k *keys) List(ctx context.Context) ([]rota.Issued, error) {
	var mu sync.Mutex
	active := map[string]bool{}
	err := k.look(ctx, "list the keys of "+k.cfg.User, func(_ *node, lines []keyLine) {
		mu.Lock()
		defer mu.Unlock()
		for _, l := range lines {
			if l.key != nil {
				active[l.id()] = active[l.id()] || !l.off
			}
		}
	})
	if err != nil {
		return nil, err
	}
	issued := make([]rota.Issued, 0, len(active))
	for id, on := range active {
		issued = append(issued, rota.Issued{ID: id, Active: on})
	}
	slices.SortFunc(issued, func(a, b rota.Issued) int { return strings.Compare(a.ID, b.ID) })
	return issued, nil
}
