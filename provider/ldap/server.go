package ldap

import (
	"errors"
	"slices"

	"github.com/go-ldap/ldap/v3"

	"github.com/rota-dev/rota"
)

// activeDirectory is what Active Directory and Samba's say that they are. They store
// what's written to userPassword as the password itself, hash and all, or nowhere.
const activeDirectory = "1.2.840.113556.1.4.800"

// says are the values of an attribute of what the server says about itself, which it
// may keep from Rota.
func says(conn *ldap.Conn, attribute string) ([]string, error) {
	found, err := conn.Search(ldap.NewSearchRequest("", ldap.ScopeBaseObject, ldap.NeverDerefAliases, 1, 0, false, "(objectClass=*)", []string{attribute}, nil))
	if n := code(err); n > 0 && n < ldap.ErrorNetwork {
		return nil, nil
	}
	if err != nil || len(found.Entries) == 0 {
		return nil, err
	}
	return found.Entries[0].GetEqualFoldAttributeValues(attribute), nil
}

// offers reports whether the server has an extended operation.
func offers(conn *ldap.Conn, oid string) (bool, error) {
	all, err := says(conn, "supportedExtension")
	return slices.Contains(all, oid), err
}

// knows returns why the server doesn't take passwords as Rota sets them, or nil.
func (c *Connection) knows(conn *ldap.Conn, op string) error {
	all, err := says(conn, "supportedCapabilities")
	if err == nil && slices.Contains(all, activeDirectory) {
		return c.stop(op, errors.New("it's Active Directory, which keeps passwords in unicodePwd and not in userPassword"), rota.Outside("a program of your own as the issuer, see docs/providers/command.md"))
	}
	return err
}
