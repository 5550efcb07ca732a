// Package store is Rota's own store, on SQLite: the versions of secrets with
// their labels, values encrypted, the progress and leases of secrets, and the
// audit, a hash chain. Here live the tables, the encryption and the key file;
// not here: what a rotation does with them (package rota) and when
// (package engine).
//
// A folder holds it all: rota.db, the database, and rota.key, the master key.
// The database alone gives nobody a value; database and key file together give
// everybody all of them, so backups of the two are kept apart. Beside them, the
// folder holders has an empty lock file for each process that has the store
// open; it tells the dead from the living and belongs in no backup.
package store
