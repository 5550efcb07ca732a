// Package mysql opens a [sql.DB] for MySQL or MariaDB whose connections always log in
// with a secret's current version. The driver is go-sql-driver's.
//
//	config, err := driver.ParseDSN("tcp(db.example.com:3306)/orders?tls=true")
//	…
//	db, err := mysql.Open(config, secrets.Secret("prod/orders-db"), mysql.Options{})
//	…
//	defer db.Close()
//
// A connection whose login is refused is tried once more, with the version that the
// source has by then. With [Options].Grace a connection's life is limited, so that
// none of the old login is left some time after a rotation.
package mysql

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/internal/logins"
	"github.com/rota-dev/rota/client/sqldb"
)

// Options say which fields of the secret are the login.
type Options struct {
	// Username and Password are the names of the fields. They default to "username"
	// and "password". A secret without a username leaves the one of the
	// configuration.
	Username, Password string
	// Grace is how long a connection lives at most, and so how long after a rotation
	// the last one of the old login is gone. Let it be shorter than the policy's
	// grace period. Defaults to 5 minutes.
	Grace time.Duration
}

// Open returns a database whose connections log in with the secret's current version.
// Nothing is connected yet. The configuration isn't changed; its own BeforeConnect, if
// there is one, runs last.
func Open(config *mysql.Config, s *client.Secret, o Options) (*sql.DB, error) {
	config = config.Clone()
	if _, err := mysql.NewConnector(config); err != nil {
		return nil, fmt.Errorf("mysql: the configuration can't be used: %w", err)
	}
	fields := logins.FieldsOf(o.Username, o.Password)
	connect := func(v client.Value) (driver.Connector, error) {
		username, password, err := fields.Read(s, v, config.User)
		if err != nil {
			return nil, err
		}
		c := config.Clone()
		c.User, c.Passwd = username, password
		return mysql.NewConnector(c)
	}
	return sqldb.Open(s, sqldb.Options{Connect: connect, Refused: Refused, Grace: o.Grace}), nil
}

// The error numbers of a refused login.
const (
	accessDenied     = 1045 // ER_ACCESS_DENIED_ERROR
	noPasswordAsked  = 1698 // ER_ACCESS_DENIED_NO_PASSWORD_ERROR
	passwordExpired  = 1862 // ER_MUST_CHANGE_PASSWORD_LOGIN
	lockedAtMySQL    = 3118 // ER_ACCOUNT_HAS_BEEN_LOCKED
	failedTooOften   = 3955 // ER_USER_ACCESS_DENIED_FOR_USER_ACCOUNT_BLOCKED_BY_PASSWORD_LOCK
	blockedAtMariaDB = 4150 // ER_USER_IS_BLOCKED
	lockedAtMariaDB  = 4151 // ER_ACCOUNT_HAS_BEEN_LOCKED
)

// Refused reports whether MySQL or MariaDB refused a login: a wrong password, or an
// account that is gone, locked or blocked, or whose password has expired.
func Refused(err error) bool {
	refusal, ok := errors.AsType[*mysql.MySQLError](err)
	if !ok {
		return false
	}
	switch refusal.Number {
	case accessDenied, noPasswordAsked, passwordExpired, lockedAtMySQL, failedTooOften, blockedAtMariaDB, lockedAtMariaDB:
		return true
	}
	return false
}
