// Package client keeps secrets fresh in a running program.
//
// A credential that a program read when it started stops working some time after
// its next rotation. With this package the program holds a [Secret] instead of a
// value, and asks it whenever it needs one:
//
//	secrets, err := client.Open(client.Options{Source: rotaserver.New(server)})
//	…
//	db := secrets.Secret("prod/orders-db")
//	…
//	v, err := db.Get(ctx) // nanoseconds: the value is already here
//	connect(v.Field("username"), v.Field("password"))
//
// The first Get of a secret fetches it. From then on the client keeps it fresh in
// the background: as soon as the source says that it has changed, if the source
// can, and otherwise by asking at intervals. Get never waits for that.
//
// # Where values come from
//
// A [Source] is where values are read. Each has a package of its own, so that a
// program depends only on what it uses: client/rotaserver asks a running rota,
// client/secretsmanager asks AWS Secrets Manager, client/vaultkv asks a KV engine of
// Vault or OpenBao, and client/filesource reads files, such as a mounted Kubernetes
// Secret.
// [Static] has fixed values, for tests. [Chain] asks several sources, one after
// the other.
//
// # When the source is away
//
// A source that can't be reached never takes the program down. The last known
// value stays, [Secret.Status] gives its age and the reason, and the client
// retries with growing pauses. A program that starts while the source is away gets
// its values from the disk if it has a [Cache].
//
// # When a login is refused
//
// A value can be a moment too old, or, after a rollback, too new. [Secret.Try] runs
// a login with the current value. If it's refused, Try has the secret refreshed,
// once for everyone who is refused at the same time, and tries the other version.
//
// # Values that are built from secrets
//
// [JSON] parses a secret into a type of your own, once for each version. [Updater]
// rebuilds something that was built from a secret, such as a pool of connections,
// and closes the old one after a grace period.
//
// Packages below this one do that for what most programs connect to: client/postgres
// (a pool of pgx), client/mysql and client/sqldb (database/sql), client/redis,
// client/mongodb, client/awscredentials (AWS's SDK), client/httpauth (HTTP APIs),
// client/tlscert (certificates) and client/grpccreds.
//
// # Watching and testing
//
// client/prommetrics shows Prometheus how fresh secrets are. client/clienttest has a
// source and a server that rotate, fail and hang when a test says so.
package client
