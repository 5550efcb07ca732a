// Package sqlrow is the statement that writes a credential into a row of a SQL
// database, for the providers of such databases: how rota.yaml gives it, what's
// refused before anything happens, which row it evidently writes, and how it's
// carried out so that exactly one row changes. How to log in, and what a server's
// errors mean, is the provider's.
package sqlrow
