// Package store is Rota's own store, on SQLite or PostgreSQL: the versions of
// secrets with their labels, values encrypted, the progress and leases of
// secrets, and the audit, a hash chain. Here live the tables, the encryption
// and the master key; not here: what a rotation does with them (package rota)
// and when (package engine).
//
// On SQLite a folder holds it all: rota.db, the database, and rota.key, the
// master key. The database alone gives nobody a value; database and key file
// together give everybody all of them, so backups of the two are kept apart.
// Beside them, the folder holders has an empty lock file for each process that
// has the store open; it tells the dead from the living and belongs in no
// backup.
//
// On PostgreSQL any number of processes share one database, each with the same
// key file, or better with a [Wrapper] that keeps the master key (package kms).
// Writes of one process share commits; those of several run at the same time,
// kept apart by advisory locks, each named after the secret that is written. A
// process that has a lock waits for no other, so they can't wait for one
// another. The audit's end is all that they have in common: it is locked last,
// while a commit lasts. Time is the server's. Each process keeps one session
// open for a lock that tells the others that it lives.
//
// A connection that is lost is opened anew, and what was not committed is tried
// again. Where it is lost during a commit, the server is asked by the
// transaction's id what became of it: nothing is done twice. Errors that pass
// are [rota.Error] of class [rota.ClassWait].
package store
