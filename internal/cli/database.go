package cli

import (
	"cmp"
	"net/url"
	"strings"

	"github.com/rota-dev/rota"
)

// databaseURL is the PostgreSQL database of Rota's own store; "" for SQLite in
// the data folder.
func (a *app) databaseURL() string { return cmp.Or(a.databaseFlag, a.environment["ROTA_DATABASE"]) }

// checkDatabase rejects an invalid address, and a password among the
// arguments, where other users on this machine can read it. No error
// contains the address.
func (a *app) checkDatabase() error {
	address := a.databaseURL()
	if address == "" {
		return nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return rota.WithRemedies(usage("the database's address isn't a PostgreSQL URL"), rota.Command("--database postgres://rota@db.example:5432/rota?sslmode=verify-full"))
	}
	if a.databaseFlag == "" {
		return nil
	}
	_, inUser := u.User.Password()
	for name := range u.Query() {
		inUser = inUser || strings.HasSuffix(strings.ToLower(name), "password")
	}
	if inUser {
		return rota.WithRemedies(usage("--database: other users on this machine can read a password there"), rota.Outside("set ROTA_DATABASE or PGPASSWORD in the environment, or PGPASSFILE to a file"))
	}
	return nil
}
