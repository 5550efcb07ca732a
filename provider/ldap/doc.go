// Package ldap rotates the password of an entry in an LDAP directory: OpenLDAP and
// servers like it. The server hashes it (RFC 3062), or Rota does, which lets two
// passwords be valid at once.
package ldap
