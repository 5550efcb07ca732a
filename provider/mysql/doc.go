// Package mysql is MariaDB as an issuer: it rotates the password of one account,
// or of two accounts in turn so that the other stays valid, and runs users' own
// checks with the new login. MariaDB writes passwords into its binary log as a
// statement has them, so only hashes are sent unless the connection says otherwise.
package mysql
