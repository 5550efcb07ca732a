// Package mysql is MariaDB and MySQL as issuers: it rotates the password of one
// account, the two passwords that a MySQL account may have, or the passwords of two
// accounts in turn, and runs users' own checks with the new login. MariaDB writes
// passwords into its binary log as a statement has them, so only hashes are sent
// unless the connection says otherwise.
package mysql
