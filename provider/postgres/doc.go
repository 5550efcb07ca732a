// Package postgres is PostgreSQL as an issuer: it rotates the password of one
// role, or the passwords of two roles in turn so that the other stays valid,
// and runs the users' own checks with the new login. Only a SCRAM-SHA-256
// verifier ever reaches the server or its log, never a clear password.
//
// Rota's own store on PostgreSQL is not here but under store.
package postgres
