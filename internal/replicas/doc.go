// Package replicas holds the tests of several daemons on one PostgreSQL: in one
// process and in several, some of which are killed, stopped or cut off, and on a
// server that is restarted. What the roles and the audit saw decides.
package replicas
