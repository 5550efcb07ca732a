package ssh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/rota-dev/rota"
)

// PasswordConfig names a Unix user whose password is rotated on a connection's
// hosts.
type PasswordConfig struct {
	User  string
	Rules rota.PasswordRules
	// RunAs is who runs chpasswd, through sudo. Defaults to root.
	RunAs string
}

// password rotates the one password of a Unix user, on every host: the old one
// stops working as soon as the new one is set. Sessions that are open stay so.
type password struct {
	c   *Connection
	cfg PasswordConfig
	as  string
}

var (
	_ rota.Issuer      = (*password)(nil)
	_ rota.Teller      = (*password)(nil)
	_ rota.Completer   = (*password)(nil)
	_ rota.Preflighter = (*password)(nil)
)

// passwordTraits say that there's no overlap. One login proves a password, since
// each host is tried.
func passwordTraits() rota.Traits {
	return rota.Traits{Kind: "Unix password", Limit: 1, TestSuccesses: 1}
}

// Password returns the issuer for a user's password.
func (c *Connection) Password(cfg PasswordConfig) (rota.Issuer, error) {
	cfg.RunAs = cmp.Or(cfg.RunAs, "root")
	fail := func(err error) (rota.Issuer, error) { return nil, fmt.Errorf("%s: %w", c.system(), err) }
	for _, user := range []string{cfg.User, cfg.RunAs} {
		if err := checkUser(user); err != nil {
			return fail(err)
		}
	}
	for at := c; at != nil; at = at.cfg.Via {
		if err := checkOther(cfg.User, at.cfg.User, at.cfg.Password != "" && (at == c || at.reaches(c))); err != nil {
			return fail(err)
		}
	}
	if err := cfg.Rules.Validate(); err != nil {
		return fail(fmt.Errorf("user %s: password: %w", cfg.User, err))
	}
	return &password{c: c, cfg: cfg, as: c.through(cfg.RunAs)}, nil
}

// checkOther refuses to rotate the password that Rota itself logs in with.
func checkOther(user, own string, byPassword bool) error {
	if user == own && byPassword {
		return rota.WithRemedies(fmt.Errorf("user %s is the one Rota logs in as with a password, so Rota would lock itself out", user), rota.Configure("", "a private_key for the connection, or a user of its own"))
	}
	return nil
}

// Traits implements [rota.Issuer].
func (p *password) Traits() rota.Traits { return passwordTraits() }

// CredentialID implements [rota.Issuer]: the user's name.
func (p *password) CredentialID(c rota.Credential) string { return c.Field(rota.FieldUsername) }

// Complete implements [rota.Completer]: a person need not repeat the user's name.
func (p *password) Complete(c rota.Credential) rota.Credential {
	fields := c.Fields()
	if fields == nil {
		fields = map[string]string{}
	}
	if fields[rota.FieldUsername] == "" {
		fields[rota.FieldUsername] = p.cfg.User
	}
	return rota.NewCredential(fields)
}

// Create implements [rota.Issuer]: it generates a password, and touches nothing.
func (p *password) Create(ctx context.Context, _ rota.CreateRequest) (rota.Credential, error) {
	if err := ctx.Err(); err != nil {
		return rota.Credential{}, p.c.failed(ctx, "make a password for user "+p.cfg.User, err)
	}
	text, err := p.cfg.Rules.Generate(nil)
	if err != nil {
		return rota.Credential{}, fmt.Errorf("%s: user %s: %w", p.c.system(), p.cfg.User, err)
	}
	return rota.NewCredential(map[string]string{rota.FieldUsername: p.cfg.User, rota.FieldPassword: text}), nil
}

// ours rejects a credential of another user, and a password that can't be one.
func (p *password) ours(op string, c rota.Credential) error {
	if user := c.Field(rota.FieldUsername); user != p.cfg.User {
		return p.c.stop(op, fmt.Errorf("user %q isn't this secret's, which is %s", user, p.cfg.User), rota.Outside("a stored credential whose username is "+p.cfg.User))
	}
	if text := c.Field(rota.FieldPassword); text == "" || strings.ContainsAny(text, "\r\n\x00") {
		return &rota.Error{System: p.c.system(), Connection: p.c.name, Op: op, Class: rota.ClassRegenerate, Err: errors.New("the password is empty or has line breaks, which no login takes")}
	}
	return nil
}

// sbin is where programs for administrators are, which not every user's PATH has.
const sbin = "PATH=$PATH:/usr/sbin:/sbin\n"

// asRoot is a command that needs root, on its own, so that a line in sudoers can
// allow just this.
func (p *password) asRoot(line string) string {
	if p.as != "" {
		line = "sudo -n -u " + p.as + " -- " + line
	}
	return sbin + line
}

// entry reads the user's entry in /etc/shadow into $entry; it's empty if Rota may
// not.
func (p *password) entry() string {
	return "entry=$(" + p.asRoot("getent shadow "+p.cfg.User) + " </dev/null 2>/dev/null)\n"
}

// statusLocked is the exit status for an account that somebody has locked.
const statusLocked = 41

// refuseLocked ends a script if somebody has locked the account, which puts a ! in
// front of the hash: a new hash would unlock it. Just a ! or * is an account that
// never had a password.
const refuseLocked = `hash=${entry#*:}; hash=${hash%%:*}; bare=$hash
while :; do
	case $bare in '!'*) bare=${bare#?} ;; *) break ;; esac
done
case $bare in "$hash" | '' | '*'*) ;; *) exit 41 ;; esac
`

func (p *password) locked() error {
	return fmt.Errorf("somebody locked the account of user %s, and a new password would unlock it", p.cfg.User)
}

func (p *password) unlock() string {
	return "passwd -u " + p.cfg.User + " on the host, if the user is meant to log in again"
}

// Set implements [rota.Issuer]: it sets the password on every host. Only a hash of
// it is sent, which is what the host keeps.
func (p *password) Set(ctx context.Context, r rota.SetRequest) error {
	op := "set the password of user " + p.cfg.User
	if err := p.ours(op, r.Credential); err != nil {
		return err
	}
	return p.c.each(ctx, op, func(ctx context.Context, n *node) error {
		ctx, cancel := n.c.limited(ctx)
		defer cancel()
		hash := hashPassword(r.Credential.Field(rota.FieldPassword))
		_, err := n.run(ctx, script{op: "set password", text: p.entry() + refuseLocked + p.asRoot("chpasswd -e"), input: []byte(p.cfg.User + ":" + hash + "\n")})
		if exit, ok := errors.AsType[*exitError](err); ok && exit.status == statusLocked {
			return p.c.stop(n.at(op), p.locked(), rota.Outside(p.unlock()))
		}
		return p.c.failed(ctx, n.at(op), err, r.Credential, rota.NewCredential(map[string]string{"hash": hash}))
	})
}

// Test implements [rota.Issuer]: the password has to log in on every host.
func (p *password) Test(ctx context.Context, r rota.TestRequest) error {
	op := "log in as " + p.cfg.User
	if err := p.ours(op, r.Credential); err != nil {
		return err
	}
	return p.c.each(ctx, op, func(ctx context.Context, n *node) error {
		return n.tryPassword(ctx, n.at(op), r.Credential)
	})
}

// tryPassword logs in with a password. A host that takes none hasn't refused it.
func (n *node) tryPassword(ctx context.Context, op string, c rota.Credential) error {
	if err := ctx.Err(); err != nil {
		return n.c.failed(ctx, op, err)
	}
	user := c.Field(rota.FieldUsername)
	client, err := n.c.connectWithPassword(ctx, n.addr, user, c.Field(rota.FieldPassword))
	switch {
	case err == nil:
		_ = client.Close()
		return nil
	case rejected(err) && !tooMany(err) && !tried(err, methodPassword) && !tried(err, methodQuestions):
		return n.c.stop(op, errors.New("the host takes no passwords, so none can be tested"),
			rota.Outside("PasswordAuthentication yes in the host's sshd_config, below Match User "+user+"; and no AuthenticationMethods that ask for a key as well"))
	case rejected(err):
		return n.c.refused(op, user, "if it's the right password, look for "+user+" in sshd's log on the host: the account may be locked or expired (passwd -S, chage -l), or locked out for a while after wrong passwords (faillock)")
	}
	return n.c.failed(ctx, op, err, c)
}

// Delete implements [rota.Issuer]. A user's only password isn't deleted.
func (p *password) Delete(ctx context.Context, r rota.RetireRequest) error {
	op := "delete the password of user " + r.CredentialID
	if err := ctx.Err(); err != nil {
		return p.c.failed(ctx, op, err)
	}
	if r.CredentialID != p.cfg.User {
		return nil
	}
	return &rota.Error{System: p.c.system(), Connection: p.c.name, Op: op, Class: rota.ClassStop,
		Err: fmt.Errorf("%w: a user's only password is not deleted; the next one replaces it", rota.ErrConflict)}
}

// InForce implements [rota.Teller]: every host keeps a hash of this password. It's
// known only if Rota may read them, and made them.
func (p *password) InForce(ctx context.Context, c rota.Credential) (inForce, known bool, err error) {
	op := "look which password user " + p.cfg.User + " has"
	if err := p.ours(op, c); err != nil {
		return false, false, err
	}
	var mu sync.Mutex
	inForce, known = true, true
	err = p.c.each(ctx, op, func(ctx context.Context, n *node) error {
		ctx, cancel := n.c.limited(ctx)
		defer cancel()
		out, err := n.run(ctx, script{op: "read hash", text: p.asRoot("getent shadow "+p.cfg.User) + " </dev/null"})
		if _, denied := errors.AsType[*exitError](err); denied {
			err = nil // it may not, or there's no such file: then it isn't known
		}
		fields := strings.SplitN(string(out), ":", 3)
		same, can := false, false
		if len(fields) == 3 {
			same, can = matches(fields[1], c.Field(rota.FieldPassword))
		}
		mu.Lock()
		defer mu.Unlock()
		inForce, known = inForce && same, known && can
		return p.c.failed(ctx, n.at(op), err, c)
	})
	return inForce && known && err == nil, known && err == nil, err
}
