package crash

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"testing"

	driver "github.com/go-sql-driver/mysql"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/mysql"
	"github.com/rota-dev/rota/rotation"
)

var sharedMySQL = testenv.SharedMySQL{Options: testenv.MySQLOptions{Args: []string{"--max-connections=300"}}}

func TestMySQLDualPasswordsThroughEveryFault(t *testing.T) {
	t.Parallel()
	m := newMySQL(t)
	matrix(t, "MySQL dual passwords", 16, life{name: "an account with two passwords", build: inOwnStore(m.dual), kinds: fewKinds, steps: lifeOfTwoPasswords})
}

// mysqls is a server, and the sessions that all cells share.
type mysqls struct {
	server *testenv.MySQLServer
	rota   *mysql.Connection
	super  *sql.DB
	other  string // what the server keeps about an account that isn't Rota's business
}

func newMySQL(t *testing.T) *mysqls {
	m := &mysqls{server: sharedMySQL.Get(t)}
	m.server.Exec(t, "CREATE USER other IDENTIFIED BY 'other-password'", "ALTER USER other IDENTIFIED BY 'other-next' RETAIN CURRENT PASSWORD",
		"CREATE USER rota_admin IDENTIFIED BY 'admin-password'", "GRANT ALL ON *.* TO rota_admin WITH GRANT OPTION")
	cfg := driver.NewConfig()
	cfg.User, cfg.Net, cfg.Addr, cfg.Logger = "root", "unix", m.server.Socket, &driver.NopLogger{}
	connector, err := driver.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	m.super = sql.OpenDB(connector)
	m.super.SetMaxOpenConns(16)
	m.super.SetMaxIdleConns(16)
	t.Cleanup(func() { _ = m.super.Close() })
	kept, err := m.kept("other")
	if err != nil {
		t.Fatal(err)
	}
	m.other = kept.text()
	m.rota, err = mysql.New("app-db", mysql.Config{Host: m.server.Socket, Username: "rota_admin", Password: "admin-password"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.rota.Close)
	return m
}

// keptAccount is what the server keeps about an account's passwords.
type keptAccount struct {
	first, second string
	locked        bool
}

func (k keptAccount) text() string { return fmt.Sprintf("%q %q %t", k.first, k.second, k.locked) }

func (m *mysqls) kept(user string) (k keptAccount, err error) {
	var attributes []byte
	var locked string
	err = m.super.QueryRow("SELECT authentication_string, COALESCE(User_attributes, '{}'), account_locked FROM mysql.user WHERE User = ?", user).Scan(&k.first, &attributes, &locked)
	if errors.Is(err, sql.ErrNoRows) {
		return k, nil
	}
	if err != nil {
		return k, err
	}
	var second struct {
		Password string `json:"additional_password"`
	}
	err = json.Unmarshal(attributes, &second)
	k.second, k.locked = second.Password, locked == "Y"
	return k, err
}

// mysqlAccount is one cell's.
type mysqlAccount struct {
	m      *mysqls
	name   string
	proven sync.Map // whether a login works, by what the server keeps and the password
}

func (m *mysqls) dual(t testing.TB, s *scene) fixture {
	a := &mysqlAccount{m: m, name: "app_" + strconv.FormatInt(scenes.Add(1), 10)}
	if _, err := m.super.Exec("CREATE USER " + a.name + " ACCOUNT LOCK"); err != nil {
		t.Fatal(err)
	}
	made := func() issuer {
		i, err := m.rota.Dual(mysql.PasswordConfig{User: a.name})
		if err != nil {
			t.Fatal(err)
		}
		return i.(issuer)
	}
	any := made()
	return fixture{
		connect: func(p *process, secret *rotation.Secret) error { // what an issuer remembers ends with the process
			return (&calls{system: "mysql", inner: made(), scene: s}).connect(p, secret)
		},
		traits: any.Traits(), id: any.CredentialID,
		works: a.works, exists: a.exists, intact: a.intact, close: func() { _, _ = m.super.Exec("DROP USER " + a.name) },
	}
}

// works logs in, unless it's known how that ended and nothing has changed since.
func (a *mysqlAccount) works(c rota.Credential) (bool, error) {
	kept, err := a.m.kept(a.name)
	if err != nil {
		return false, err
	}
	key := kept.text() + c.Field(rota.FieldPassword)
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

func (a *mysqlAccount) logIn(c rota.Credential) error {
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

// marked is a hash that Rota made, with the password's name in its salt.
var marked = regexp.MustCompile(`^\$A\$005\$rota([0-9a-f]{8})[0-9a-f]{8}`)

func (a *mysqlAccount) exists() (map[string]bool, error) {
	exist := map[string]bool{}
	kept, err := a.m.kept(a.name)
	for _, hash := range []string{kept.first, kept.second} {
		if found := marked.FindStringSubmatch(hash); found != nil {
			exist[a.name+":"+found[1]] = !kept.locked
		}
	}
	return exist, err
}

func (a *mysqlAccount) intact() error {
	if now, err := a.m.kept("other"); err != nil || now.text() != a.m.other {
		return fmt.Errorf("a foreign account was touched (%w)", err)
	}
	return nil
}
