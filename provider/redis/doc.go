// Package redis is the provider for Redis and Valkey: the passwords of ACL users.
// A user can have several passwords at once, so the next one is added beside the
// current one, and the current one is removed once nobody needs it.
//
// describe.go and describe_connection.go say what rota.yaml can name. The other
// files do the work and know nothing of rota.yaml.
package redis
