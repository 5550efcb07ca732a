// Package demo plays the life of two credentials on embedded parts: the heart,
// the AWS provider with AWS's own SDK against an in-memory AWS, Rota's own
// store on SQLite, and an in-memory database. Only the clock is not real.
package demo
