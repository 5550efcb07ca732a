// Package replicas tests several daemons on one PostgreSQL, in one process and
// in several, while some are killed, stopped or cut off and the server
// restarts. The verdict is what the roles and the audit saw.
package replicas
