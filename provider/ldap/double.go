package ldap

import (
	"context"
	"errors"

	"github.com/go-ldap/ldap/v3"

	"github.com/rota-dev/rota"
)

// double keeps two passwords of Rota's own: userPassword has a value for each. Values
// that Rota didn't make stay.
type double struct{ *entry }

// CredentialID implements [rota.Issuer]: the entry's DN, and a few digits that stand
// for the password.
func (d *double) CredentialID(c rota.Credential) string {
	dn, password := c.Field(rota.FieldUsername), c.Field(rota.FieldPassword)
	if dn == "" || password == "" {
		return ""
	}
	same, err := normalize(dn)
	if err == nil && same == d.dn {
		dn = d.cfg.DN
	}
	return dn + ":" + shown(d.salts.of(same, password))
}

// Set implements [rota.Issuer]: it adds the password.
func (d *double) Set(ctx context.Context, r rota.SetRequest) error {
	op := "add a password to " + d.cfg.DN
	if err := d.ours(op, r.Credential); err != nil {
		return err
	}
	password := r.Credential.Field(rota.FieldPassword)
	return d.conn.session(ctx, op, func(conn *ldap.Conn) error {
		now, err := d.read(conn)
		if err == nil {
			err = d.open(op, now)
		}
		if err == nil {
			err = d.conn.knows(conn, op)
		}
		if err != nil {
			return err
		}
		for _, value := range now.passwords {
			if match, _ := matches(value, password); match && marked(value) != nil {
				return nil
			}
		}
		change := ldap.NewModifyRequest(d.cfg.DN, nil)
		change.Add("userPassword", []string{d.scheme().value(password, d.salts.of(d.dn, password))})
		if err = conn.Modify(change); code(err) == ldap.LDAPResultAttributeOrValueExists {
			return nil // this very value, since it was read
		}
		return refusedHash(err)
	}, r.Credential)
}

func (d *double) scheme() Scheme {
	if d.cfg.Hash == SchemeServer {
		return SchemeSSHA
	}
	return d.cfg.Hash
}

// Delete implements [rota.Issuer]: it removes exactly the value with the credential's
// id. Sessions that logged in with it stay open.
func (d *double) Delete(ctx context.Context, r rota.RetireRequest) error {
	op := "remove password " + r.CredentialID
	return d.conn.session(ctx, op, func(conn *ldap.Conn) error {
		now, err := d.read(conn)
		if code(err) == ldap.LDAPResultNoSuchObject {
			return nil
		}
		if err != nil {
			return err
		}
		change := ldap.NewModifyRequest(d.cfg.DN, nil)
		for _, value := range now.passwords {
			if salt := marked(value); salt != nil && d.cfg.DN+":"+shown(salt) == r.CredentialID {
				change.Delete("userPassword", []string{value})
			}
		}
		switch {
		case len(change.Changes) == 0:
			return nil
		case len(change.Changes) == len(now.passwords):
			return d.conn.stop(op, errors.New("it's the entry's only password"), rota.Outside("rotate the secret first; or remove the entry, if nobody needs it"))
		}
		err = conn.Modify(change)
		if code(err) == ldap.LDAPResultNoSuchAttribute {
			return nil // gone meanwhile
		}
		return err
	})
}
