package crash

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	driver "github.com/go-sql-driver/mysql"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/mysql"
)

var sharedMariaDB = testenv.SharedMariaDB{Options: testenv.MariaDBOptions{Args: []string{"--max-connections=300"}}}

func TestMariaDBPasswordsThroughEveryFault(t *testing.T) {
	t.Parallel()
	m := newMariaDB(t)
	matrix(t, "MariaDB passwords", 16,
		life{name: "an account's password", build: inOwnStore(m.password), kinds: fewKinds, steps: lifeOfPassword},
		life{name: "a pair of accounts", build: inOwnStore(m.alternating), kinds: fewKinds, steps: lifeOfPair},
	)
}

// mariadb is a server, and the sessions that all cells share.
type mariadb struct {
	server *testenv.MariaDBServer
	rota   *mysql.Connection
	super  *sql.DB
	other  string // what the server keeps about an account that isn't Rota's business
}

func newMariaDB(t *testing.T) *mariadb {
	m := &mariadb{server: sharedMariaDB.Get(t)}
	m.server.Exec(t, "CREATE USER other IDENTIFIED BY 'other-password'",
		"CREATE USER rota_admin IDENTIFIED BY 'admin-password'", "GRANT ALL ON *.* TO rota_admin WITH GRANT OPTION")
	m.super = m.open(t, "root", "", "unix", m.server.Socket)
	var err error
	if m.other, err = m.row("other"); err != nil {
		t.Fatal(err)
	}
	m.rota, err = mysql.New("app-db", mysql.Config{Host: m.server.Host, Port: m.server.Port, Username: "rota_admin", Password: "admin-password"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.rota.Close)
	return m
}

func (m *mariadb) open(t testing.TB, user, password, network, address string) *sql.DB {
	cfg := driver.NewConfig()
	cfg.User, cfg.Passwd, cfg.Net, cfg.Addr, cfg.Logger = user, password, network, address, &driver.NopLogger{}
	connector, err := driver.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(16)
	db.SetMaxIdleConns(16)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// row is all that the server keeps about an account, "" for none.
func (m *mariadb) row(user string) (priv string, err error) {
	err = m.super.QueryRow("SELECT Priv FROM mysql.global_priv WHERE User = ?", user).Scan(&priv)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return priv, err
}

// accounts are one cell's.
type accounts struct {
	m      *mariadb
	names  []string
	proven sync.Map // whether a login works, by what the server keeps and the password
}

func (m *mariadb) password(t testing.TB, s *scene) fixture {
	a := m.accounts(t, "app")
	i, err := m.rota.Password(mysql.PasswordConfig{User: a.names[0]})
	if err != nil {
		t.Fatal(err)
	}
	return a.fixture(s, i)
}

func (m *mariadb) alternating(t testing.TB, s *scene) fixture {
	a := m.accounts(t, "a", "b")
	i, err := m.rota.Alternating(mysql.AlternatingConfig{Users: [2]string{a.names[0], a.names[1]}})
	if err != nil {
		t.Fatal(err)
	}
	return a.fixture(s, i)
}

func (m *mariadb) accounts(t testing.TB, names ...string) *accounts {
	a := &accounts{m: m}
	n := scenes.Add(1)
	for _, name := range names {
		user := name + "_" + strconv.FormatInt(n, 10)
		if _, err := m.super.Exec("CREATE USER " + user + " ACCOUNT LOCK"); err != nil {
			t.Fatal(err)
		}
		a.names = append(a.names, user)
	}
	return a
}

func (a *accounts) fixture(s *scene, i rota.Issuer) fixture {
	made := &calls{system: "mariadb", inner: i.(issuer), scene: s}
	return fixture{
		connect: made.connect, traits: i.Traits(), id: i.CredentialID,
		works: a.works, exists: a.exists, intact: a.intact, close: a.drop,
	}
}

// works logs in, unless it's known how that ended and nothing has changed since.
func (a *accounts) works(c rota.Credential) (bool, error) {
	row, err := a.m.row(c.Field(rota.FieldUsername))
	if err != nil {
		return false, err
	}
	key := row + c.Field(rota.FieldPassword)
	if proven, known := a.proven.Load(key); known {
		return proven.(bool), nil
	}
	err = a.logIn(c)
	if _, refused := errors.AsType[*driver.MySQLError](err); err != nil && !refused {
		return false, err
	}
	a.proven.Store(key, err == nil)
	return err == nil, nil
}

func (a *accounts) logIn(c rota.Credential) error {
	cfg := driver.NewConfig()
	cfg.User, cfg.Passwd, cfg.Net, cfg.Addr, cfg.Logger = c.Field(rota.FieldUsername), c.Field(rota.FieldPassword), "unix", a.m.server.Socket, &driver.NopLogger{}
	connector, err := driver.NewConnector(cfg)
	if err != nil {
		return err
	}
	conn, err := connector.Connect(context.Background())
	if err != nil {
		return err
	}
	return conn.Close()
}

func (a *accounts) exists() (map[string]bool, error) {
	exist := map[string]bool{}
	for _, user := range a.names {
		text, err := a.m.row(user)
		if err != nil {
			return nil, err
		}
		var kept struct {
			Stored  string `json:"authentication_string"`
			Locked  bool   `json:"account_locked"`
			Changed *int64 `json:"password_last_changed"`
		}
		if err := json.Unmarshal([]byte(text), &kept); err != nil {
			return nil, err
		}
		deleted := kept.Locked && kept.Changed != nil && *kept.Changed == 0
		if kept.Stored != "" && kept.Stored != "invalid" && !deleted {
			exist[user] = !kept.Locked
		}
	}
	return exist, nil
}

func (a *accounts) intact() error {
	if now, err := a.m.row("other"); err != nil || now != a.m.other {
		return fmt.Errorf("a foreign account was touched (%w)", err)
	}
	return nil
}

func (a *accounts) drop() {
	for _, user := range a.names {
		_, _ = a.m.super.Exec("DROP USER " + user)
	}
}
