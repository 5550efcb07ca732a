package ldap

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/rota-dev/rota"
)

// EntryConfig names the entry whose password is rotated.
type EntryConfig struct {
	DN string
	// Two keeps the previous password valid beside the current one.
	Two bool
	// Hash is how Rota hashes. Defaults to having the server do it, and to SchemeSSHA
	// with Two, or if the server can't.
	Hash  Scheme
	Rules rota.PasswordRules
}

// entry rotates the password of one entry. What both ways share is here; each has a
// file of its own.
type entry struct {
	conn  *Connection
	cfg   EntryConfig
	dn    string // normalized
	salts salts
}

// Entry returns the issuer for an entry's password.
func (c *Connection) Entry(cfg EntryConfig) (rota.Issuer, error) {
	dn, err := normalize(cfg.DN)
	if err != nil {
		return nil, fmt.Errorf("%s: dn: %w", c.system(), err)
	}
	if dn == c.bindDN {
		return nil, rota.WithRemedies(fmt.Errorf("%s: entry %s is the one Rota logs in as, so Rota would lock itself out", c.system(), cfg.DN), rota.Configure("", "a connection with an entry of its own"))
	}
	if err := cfg.Rules.Validate(); err != nil {
		return nil, fmt.Errorf("%s: entry %s: password: %w", c.system(), cfg.DN, err)
	}
	e := &entry{conn: c, cfg: cfg, dn: dn}
	if cfg.Two {
		return &double{e}, nil
	}
	return &single{e}, nil
}

// traits: logins right after a change ask the server that made it, so one proves a
// password.
func traits(two bool) rota.Traits {
	limit := 1
	if two {
		limit = 2
	}
	return rota.Traits{Kind: "LDAP password", Limit: limit, TestSuccesses: 1}
}

// Traits implements [rota.Issuer].
func (e *entry) Traits() rota.Traits { return traits(e.cfg.Two) }

// Complete implements [rota.Completer]: a person need not repeat the DN.
func (e *entry) Complete(c rota.Credential) rota.Credential {
	all := map[string]string{rota.FieldUsername: e.cfg.DN}
	maps.Copy(all, c.Fields())
	return rota.NewCredential(all)
}

// Create implements [rota.Issuer]: it generates a password, and touches nothing.
func (e *entry) Create(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
	op := "make a password for " + e.cfg.DN
	if err := ctx.Err(); err != nil {
		return rota.Credential{}, e.conn.failed(ctx, op, err)
	}
	if e.cfg.Two && len(r.Taken) >= 2 {
		return rota.Credential{}, e.conn.stop(op, fmt.Errorf("%w: it has two passwords of Rota's", rota.ErrLimit), rota.Outside("retire the previous credential first"))
	}
	password, err := e.cfg.Rules.Generate(nil)
	if err != nil {
		return rota.Credential{}, fmt.Errorf("%s: entry %s: %w", e.conn.system(), e.cfg.DN, err)
	}
	return rota.NewCredential(map[string]string{rota.FieldUsername: e.cfg.DN, rota.FieldPassword: password}), nil
}

// ours rejects a credential of another entry, and an empty password: a login without
// one succeeds as anonymous, and servers would store it.
func (e *entry) ours(op string, c rota.Credential) error {
	if dn, err := normalize(c.Field(rota.FieldUsername)); err != nil || dn != e.dn {
		return e.conn.stop(op, fmt.Errorf("entry %q isn't this secret's, which is %s", c.Field(rota.FieldUsername), e.cfg.DN), rota.Outside("a stored credential whose username is "+e.cfg.DN))
	}
	if c.Field(rota.FieldPassword) == "" {
		return e.conn.stop(op, errors.New("the password is empty, and a login without one is anonymous"), rota.Outside("a stored credential with a password"))
	}
	return nil
}

// state is what the directory shows of the entry.
type state struct {
	passwords []string  // userPassword's values
	locked    bool      // by the password policy
	unlock    string    // how a person ends the lock that somebody put on it; "" if there's none
	policy    string    // the DN of the password policy, if the entry names one
	used      time.Time // the last login that was recorded; zero if none was
}

// The attributes of a locked entry, in OpenLDAP and in 389 Directory Server.
const (
	lockedTime  = "pwdAccountLockedTime"
	accountLock = "nsAccountLock"
)

// lockedForGood is what an administrator writes into pwdAccountLockedTime. The policy
// itself writes when it happened.
const lockedForGood = "000001010000Z"

// open returns why the entry gets no new password: somebody locked it, which OpenLDAP
// would take back.
func (e *entry) open(op string, s state) error {
	if s.unlock == "" {
		return nil
	}
	return e.conn.stop(op, fmt.Errorf("somebody locked %s, and a new password would unlock it", e.cfg.DN), rota.Outside(s.unlock+", if it's to log in again"))
}

// usedAttributes are where servers record an entry's last login: OpenLDAP from 2.5
// on, its overlay lastbind, and 389 Directory Server.
var usedAttributes = []string{"pwdLastSuccess", "authTimestamp", "lastLoginTime"}

// read reads the entry itself, not what an alias leads to.
func (e *entry) read(conn *ldap.Conn) (state, error) {
	found, err := conn.Search(ldap.NewSearchRequest(e.cfg.DN, ldap.ScopeBaseObject, ldap.NeverDerefAliases, 1, 0, false, "(objectClass=*)",
		append([]string{"userPassword", lockedTime, accountLock, "pwdPolicySubentry"}, usedAttributes...), nil))
	if err != nil {
		return state{}, err
	}
	if len(found.Entries) != 1 {
		return state{}, ldap.NewError(ldap.LDAPResultNoSuchObject, errors.New("no entry is shown"))
	}
	one := found.Entries[0]
	s := state{passwords: one.GetEqualFoldAttributeValues("userPassword"), locked: one.GetEqualFoldAttributeValue(lockedTime) != "", policy: one.GetEqualFoldAttributeValue("pwdPolicySubentry")}
	switch {
	case one.GetEqualFoldAttributeValue(lockedTime) == lockedForGood:
		s.unlock = "remove " + lockedTime + " from " + e.cfg.DN
	case strings.EqualFold(one.GetEqualFoldAttributeValue(accountLock), "true"):
		s.unlock = "remove " + accountLock + " from " + e.cfg.DN
	}
	for _, name := range usedAttributes {
		if at, err := time.Parse("20060102150405Z0700", one.GetEqualFoldAttributeValue(name)); err == nil && at.After(s.used) {
			s.used = at.UTC()
		}
	}
	return s, nil
}

// look reads the entry in a session of its own.
func (e *entry) look(ctx context.Context, op string, used ...rota.Credential) (s state, err error) {
	err = e.conn.session(ctx, op, func(conn *ldap.Conn) error {
		s, err = e.read(conn)
		return err
	}, used...)
	return s, err
}

// Test implements [rota.Issuer]: it logs in with a simple bind.
func (e *entry) Test(ctx context.Context, r rota.TestRequest) error {
	op := "log in as " + e.cfg.DN
	if err := e.ours(op, r.Credential); err != nil {
		return err
	}
	mustChange := false
	err := e.conn.dial(ctx, func(conn *ldap.Conn) error {
		result, err := conn.SimpleBind(ldap.NewSimpleBindRequest(e.cfg.DN, r.Credential.Field(rota.FieldPassword), []ldap.Control{ldap.NewControlBeheraPasswordPolicy()}))
		if err != nil {
			return err
		}
		for _, control := range result.Controls {
			if p, ok := control.(*ldap.ControlBeheraPasswordPolicy); ok && p.Error == ldap.BeheraChangeAfterReset {
				mustChange = true
			}
		}
		return nil
	})
	if mustChange {
		return e.conn.stop(op, errors.New("it logs in but may do nothing until it changes its password"), rota.Outside("remove pwdReset from the entry"))
	}
	if code(err) != ldap.LDAPResultInvalidCredentials {
		return e.conn.failed(ctx, op, err, r.Credential)
	}
	// The answer is the same for an entry that's locked.
	if s, askErr := e.look(ctx, op, r.Credential); askErr == nil && s.locked {
		return &rota.Error{System: e.conn.system(), Connection: e.conn.name, Op: op, Class: rota.ClassWait,
			Err: errors.New("the password policy has locked the entry after too many wrong passwords"), Remedies: rota.Outside("remove pwdAccountLockedTime from the entry, and see who logs in with an old password")}
	}
	return &rota.Error{System: e.conn.system(), Connection: e.conn.name, Op: op, Class: rota.ClassWait, Err: fmt.Errorf("%w: %s", rota.ErrRefused, describe(err))}
}

// InForce implements [rota.Teller] by comparing the entry's hashes with the password.
// It doesn't say whether the entry may log in: that's what Test is for.
func (e *entry) InForce(ctx context.Context, c rota.Credential) (inForce, known bool, err error) {
	op := "look which password " + e.cfg.DN + " has"
	if err := e.ours(op, c); err != nil {
		return false, false, err
	}
	s, err := e.look(ctx, op, c)
	if err != nil {
		if errors.Is(err, rota.ErrNotFound) {
			err = nil
		}
		return false, false, err
	}
	known = len(s.passwords) > 0 // or Rota may not read them
	for _, value := range s.passwords {
		match, comparable := matches(value, c.Field(rota.FieldPassword))
		if match {
			return true, true, nil
		}
		known = known && comparable
	}
	return false, known, nil
}

// LastUsed implements [rota.UseReporter] with the login that the server recorded. A
// login with any of several passwords counts.
func (e *entry) LastUsed(ctx context.Context, credentialID string) (rota.Use, error) {
	op := "look when " + e.cfg.DN + " logged in"
	s, err := e.look(ctx, op)
	switch {
	case err != nil:
		return rota.Use{}, err
	case !slices.ContainsFunc(e.issued(s), func(i rota.Issued) bool { return i.ID == credentialID }):
		return rota.Use{}, e.conn.stop(op, fmt.Errorf("%w: the entry has no such password", rota.ErrNotFound), nil)
	case s.used.IsZero():
		return rota.Use{Remedies: rota.Outside("lastbind on, in the server's configuration of this database; and let " + e.conn.cfg.BindDN + " read pwdLastSuccess")}, nil
	}
	return rota.Use{Evidence: rota.EvidenceRecorded, At: s.used, Ambiguous: len(s.passwords) > 1}, nil
}

// List implements [rota.Lister].
func (e *entry) List(ctx context.Context) ([]rota.Issued, error) {
	s, err := e.look(ctx, "look which passwords "+e.cfg.DN+" has")
	if errors.Is(err, rota.ErrNotFound) {
		return nil, nil
	}
	return e.issued(s), err
}

// issued are the entry's credentials: with one password at a time its only one, and
// with two those that Rota made.
func (e *entry) issued(s state) []rota.Issued {
	var all []rota.Issued
	if !e.cfg.Two {
		if len(s.passwords) > 0 {
			all = append(all, rota.Issued{ID: e.cfg.DN, Active: true, Unlock: s.unlock})
		}
		return all
	}
	for _, value := range s.passwords {
		if salt := marked(value); salt != nil {
			all = append(all, rota.Issued{ID: e.cfg.DN + ":" + shown(salt), Active: true, Unlock: s.unlock})
		}
	}
	return all
}
