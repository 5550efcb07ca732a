// Package demo plays the life of two credentials on embedded parts: the core,
// the AWS provider using AWS's own SDK with an in-memory AWS, Rota's own store
// on SQLite, and an in-memory database. Only the clock isn't real.
package demo
