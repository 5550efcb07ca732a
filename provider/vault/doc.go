// Package vault is everything that Rota does at HashiCorp Vault and OpenBao: entries
// of a KV engine that hold a copy of a credential (a target) or all versions of it (a
// store), and secret ids of
// AppRole, static database roles and leases that Vault issues (issuers).
//
// describe*.go says what rota.yaml can name and what it means. The other files do
// the work and know nothing of rota.yaml. All calls go through OpenBao's own Go
// client, which Vault understands as well, without its retries, its redirects and
// the environment variables that it reads by default: what rota.yaml says is all
// that counts, and what may be repeated is decided here and by package rotation.
package vault
