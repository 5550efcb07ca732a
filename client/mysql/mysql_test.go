package mysql_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/clienttest"
	"github.com/rota-dev/rota/client/mysql"
	"github.com/rota-dev/rota/internal/testenv"
)

const name = "prod/orders-db"

var shared testenv.SharedMariaDB

func TestMain(m *testing.M) {
	code := m.Run()
	shared.Stop()
	os.Exit(code)
}

var users atomic.Int64

// user makes an account that nobody can log in to yet.
func user(t *testing.T) string {
	t.Helper()
	account := fmt.Sprintf("orders_%d", users.Add(1))
	shared.Get(t).Exec(t, "CREATE USER "+account+" IDENTIFIED BY 'nobody-knows-this'")
	return account
}

// set sets an account's password and makes it the secret's current version.
func set(t *testing.T, source *clienttest.Source, account, password string) {
	t.Helper()
	shared.Get(t).Exec(t, "ALTER USER "+account+" IDENTIFIED BY '"+password+"'")
	source.Set(name, map[string]string{"username": account, "password": password})
}

func open(t *testing.T, source client.Source, grace time.Duration) (*sql.DB, *client.Secret) {
	t.Helper()
	c, err := client.Open(client.Options{Source: source, Every: time.Hour, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	config := driver.NewConfig()
	config.Net, config.Addr = "tcp", fmt.Sprintf("127.0.0.1:%d", shared.Get(t).Port)
	config.Logger = &driver.NopLogger{}
	db, err := mysql.Open(config, c.Secret(name), mysql.Options{Grace: grace})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db, c.Secret(name)
}

func currentUser(t *testing.T, db *sql.DB) string {
	t.Helper()
	var name string
	if err := db.QueryRowContext(t.Context(), "SELECT CURRENT_USER()").Scan(&name); err != nil {
		t.Fatal(err)
	}
	account, _, _ := strings.Cut(name, "@")
	return account
}

func TestAPoolUnderLoadSurvivesRotations(t *testing.T) {
	source := clienttest.NewSource()
	accounts := [2]string{user(t), user(t)}
	set(t, source, accounts[0], "password-0")
	db, _ := open(t, source, 50*time.Millisecond)
	db.SetMaxOpenConns(10)
	stop := testenv.Load(t, 10, func(ctx context.Context) error {
		_, err := db.ExecContext(ctx, "DO 1")
		return err
	})
	for round := 1; round <= 30; round++ {
		account := accounts[round%2]
		set(t, source, account, fmt.Sprintf("password-%d", round))
		testenv.Eventually(t, "the new login is used", func() bool { return currentUser(t, db) == account })
	}
	t.Logf("%d queries through 30 rotations", stop())
}

// With a single account the old password ends at once. Nothing fails even so: a refused
// login is tried again with the version that the source has by then.
func TestARefusedLoginIsTriedWithTheNewVersion(t *testing.T) {
	source := clienttest.NewSource()
	source.DisablePush()
	account := user(t)
	set(t, source, account, "one")
	db, s := open(t, source, time.Nanosecond)
	if got := currentUser(t, db); got != account {
		t.Fatalf("logged in as %q", got)
	}
	set(t, source, account, "two")
	if got := currentUser(t, db); got != account || s.Status().Version != "v2" {
		t.Errorf("logged in as %q with version %s", got, s.Status().Version)
	}
}

func TestWhatCountsAsARefusal(t *testing.T) {
	source := clienttest.NewSource()
	account := user(t)
	set(t, source, account, "right")
	db, _ := open(t, source, time.Nanosecond)
	fails := func(what string, refused bool) {
		t.Helper()
		err := db.PingContext(t.Context())
		if err == nil || mysql.Refused(err) != refused {
			t.Errorf("%s: %v", what, err)
		}
	}
	source.Set(name, map[string]string{"username": account, "password": "wrong"})
	testenv.Eventually(t, "the wrong one arrives", func() bool {
		// The previous one still works, so drop it, too.
		shared.Get(t).Exec(t, "ALTER USER "+account+" IDENTIFIED BY 'right again'")
		return db.PingContext(t.Context()) != nil
	})
	fails("a wrong password", true)
	set(t, source, account, "right")
	testenv.Eventually(t, "it logs in", func() bool { return db.PingContext(t.Context()) == nil })
	shared.Get(t).Exec(t, "ALTER USER "+account+" ACCOUNT LOCK")
	fails("a locked account", true)
	shared.Get(t).Exec(t, "DROP USER "+account)
	fails("an account that's gone", true)
	source.Set(name, map[string]string{"username": account})
	testenv.Eventually(t, "a secret without a password is named", func() bool {
		err := db.PingContext(t.Context())
		return err != nil && strings.Contains(err.Error(), `no field "password"`)
	})
	if mysql.Refused(nil) || mysql.Refused(errors.New("Error 1045: only the words")) || mysql.Refused(&driver.MySQLError{Number: 1040}) {
		t.Error("something else counts as a refusal")
	}
	if !mysql.Refused(fmt.Errorf("orders: %w", &driver.MySQLError{Number: 1698})) {
		t.Error("1698 doesn't count")
	}
}

func TestAConfigurationThatCannotBeUsed(t *testing.T) {
	config := driver.NewConfig()
	config.Net, config.Addr, config.TLSConfig = "tcp", "127.0.0.1:1", "no-such-configuration"
	if _, err := mysql.Open(config, nil, mysql.Options{}); err == nil || !strings.Contains(err.Error(), "no-such-configuration") {
		t.Errorf("%v", err)
	}
}
