package ldap

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/rota-dev/rota"
)

// passwordModify is the extended operation of RFC 3062.
const passwordModify = "1.3.6.1.4.1.4203.1.11.1"

// single has one password at a time: the old one stops working as soon as the new
// one is set. Open sessions continue.
type single struct{ *entry }

// CredentialID implements [rota.Issuer]: the entry's DN, as rota.yaml spells it.
func (s *single) CredentialID(c rota.Credential) string {
	dn := c.Field(rota.FieldUsername)
	if same, err := normalize(dn); err == nil && same == s.dn {
		return s.cfg.DN
	}
	return dn
}

// Names implements [rota.Namer].
func (s *single) Names() []string { return []string{s.cfg.DN} }

// Set implements [rota.Issuer]: it replaces all the entry's passwords.
func (s *single) Set(ctx context.Context, r rota.SetRequest) error {
	op := "set password of " + s.cfg.DN
	if err := s.ours(op, r.Credential); err != nil {
		return err
	}
	password := r.Credential.Field(rota.FieldPassword)
	err := s.conn.session(ctx, op, func(conn *ldap.Conn) error {
		now, err := s.read(conn)
		if err == nil {
			err = s.open(op, now)
		}
		if err == nil {
			err = s.conn.knows(conn, op)
		}
		if err != nil {
			return err
		}
		if len(now.passwords) == 1 {
			if match, _ := matches(now.passwords[0], password); match {
				return nil
			}
		}
		scheme := s.cfg.Hash
		if scheme == SchemeServer {
			offered, err := offers(conn, passwordModify)
			if err != nil {
				return err
			}
			if offered {
				_, err = conn.PasswordModify(ldap.NewPasswordModifyRequest(s.cfg.DN, "", password))
				if code(err) != ldap.LDAPResultConstraintViolation || !strings.Contains(err.Error(), "history") {
					return err
				}
			}
			// A policy with a history refuses to take the previous password back, which
			// must be possible at once. It can't look into a hash.
			scheme = SchemeSSHA
		}
		change := ldap.NewModifyRequest(s.cfg.DN, nil)
		change.Replace("userPassword", []string{scheme.value(password, s.salts.of(s.dn, password))})
		if err := conn.Modify(change); err != nil || scheme == SchemeSSHA {
			return refusedHash(err)
		}
		// A server without the scheme stores the value all the same, and lets nobody in
		// with it: neither with this password nor, hashed again, with the one before.
		if err := s.Test(ctx, rota.TestRequest{Credential: r.Credential}); !errors.Is(err, rota.ErrRefused) {
			return nil
		}
		back := ldap.NewModifyRequest(s.cfg.DN, nil)
		back.Replace("userPassword", now.passwords)
		if err := conn.Modify(back); err != nil {
			return err
		}
		return s.conn.stop(op, fmt.Errorf("the server lets nobody in with a hash by %s, so what was there is back", scheme), rota.Configure("hash", "hash: ssha; or load pw-sha2 at the server"))
	}, r.Credential)
	// A policy with a history remembers each password by the second in which it was
	// replaced, so it may refuse to replace the same one twice.
	refused := rota.ClassOf(err) == rota.ClassRegenerate || code(err) == ldap.LDAPResultAttributeOrValueExists ||
		err != nil && strings.Contains(err.Error(), hashed)
	if refused && s.Test(ctx, rota.TestRequest{Credential: r.Credential}) == nil {
		return nil // refused, because it's the one in force
	}
	return err
}

// Delete is refused if the entry has a password: it has one, which ends when the next
// one is set.
func (s *single) Delete(ctx context.Context, r rota.RetireRequest) error {
	op := "delete password of " + r.CredentialID
	if r.CredentialID != s.cfg.DN {
		return ctx.Err() // not this secret's, so there's nothing to delete
	}
	now, err := s.look(ctx, op)
	if errors.Is(err, rota.ErrNotFound) || err == nil && len(now.passwords) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	return s.conn.stop(op, fmt.Errorf("%w: an entry's only password is not deleted; the next one replaces it", rota.ErrConflict), nil)
}
