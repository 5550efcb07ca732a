// Package postgres is PostgreSQL as an issuer: it rotates the password of one
// role, or of two roles in turn so that the other stays valid, and runs
// users' own checks with the new login. Only a SCRAM-SHA-256 verifier ever
// reaches the server or its log, never a plaintext password.
//
// Rota's own store on PostgreSQL isn't here but in internal/store.
package postgres
