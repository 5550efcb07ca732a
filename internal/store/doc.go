// Package store is Rota's own store, on SQLite or PostgreSQL: versions of
// secrets with their labels and encrypted values, progress and leases of
// secrets, and the audit, a hash chain. It contains the schema, the encryption
// and the master key. What a rotation does with them is in package rotation,
// and when, in package engine.
//
// On SQLite, one folder holds everything: rota.db, the database, and rota.key,
// the master key. The database alone reveals no value; database and key file
// together reveal all of them, so keep their backups apart. A subfolder named
// holders has an empty lock file for each process that has the store open. It
// tells live processes from dead ones and doesn't belong in a backup.
//
// On PostgreSQL, any number of processes share one database, each with the same
// key file or, better, with a [Wrapper] that protects the master key (package
// kms). Writes in one process share commits. Writes in several processes run
// concurrently, kept apart by advisory locks named after the secret being
// written. A process that holds a lock never waits for another, so they can't
// deadlock. Only the end of the audit is shared by all; it is locked last, for
// the duration of the commit. The server's clock counts. Each process keeps one
// session open for a lock that shows the others that it's alive.
//
// A lost connection is reopened, and what wasn't committed is retried. If the
// connection is lost during a commit, the store asks the server what happened
// to the transaction, so that nothing is done twice. Transient errors are
// [rota.Error] of class [rota.ClassWait].
package store
