// Package mongodb is MongoDB as an issuer: it rotates the password of one user, or
// of two users in turn so that the other stays valid. The server makes its SCRAM
// credentials from the password itself, so passwords only cross connections that
// nobody can listen in to.
package mongodb
