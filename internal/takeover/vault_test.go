package takeover

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// vault stands in for the program of that name, and for the server behind it: the
// part of the database engine that the document's commands use, as its code and its
// reference describe it. It knows one database, and keeps what it knows in a file.
func vault() {
	if err := vaultCommand(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(2)
	}
}

type staticRole struct {
	DBName   string `json:"db_name"`
	Username string `json:"username"`
	Period   string `json:"rotation_period"`
	Password string `json:"password"`
	Rotated  string `json:"last_vault_rotation"`
}

func vaultCommand(args []string) error {
	state := map[string]*staticRole{}
	text, err := os.ReadFile(os.Getenv("VAULT_TEST_STATE"))
	if err == nil {
		err = json.Unmarshal(text, &state)
	}
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	verb, args, format := args[0], args[1:], "table"
	if f, ok := strings.CutPrefix(args[0], "-format="); ok {
		format, args = f, args[1:]
	}
	engine, name, _ := strings.Cut(strings.TrimPrefix(args[0], "database/"), "/")
	role := state[name]
	switch {
	case verb == "read" && role == nil:
		return fmt.Errorf("no value found at %s", args[0])
	case verb == "read" && engine == "static-creds":
		return show(format, map[string]any{"username": role.Username, "password": role.Password, "last_vault_rotation": role.Rotated, "rotation_period": role.Period})
	case verb == "read":
		return show(format, map[string]any{"username": role.Username, "db_name": role.DBName, "last_vault_rotation": role.Rotated, "rotation_period": role.Period})
	case verb == "delete":
		delete(state, name) // the database's role stays, with its password
	case verb == "write":
		if state[name], err = write(role, args[1:]); err != nil {
			return err
		}
		fmt.Println("Success! Data written to: " + args[0])
	default:
		return fmt.Errorf("%s isn't known here", verb)
	}
	if text, err = json.Marshal(state); err != nil {
		return err
	}
	return os.WriteFile(os.Getenv("VAULT_TEST_STATE"), text, 0o600)
}

func show(format string, data map[string]any) error {
	if format == "json" {
		return json.NewEncoder(os.Stdout).Encode(map[string]any{"request_id": "9b4e", "lease_id": "", "lease_duration": 0, "renewable": false, "data": data})
	}
	for k, v := range data {
		fmt.Printf("%-20s%v\n", k, v)
	}
	return nil
}

// write creates a static role, which sets a password at once, or changes one, which
// doesn't.
func write(role *staticRole, pairs []string) (*staticRole, error) {
	given := map[string]string{}
	for _, p := range pairs {
		k, v, _ := strings.Cut(p, "=")
		given[k] = v
	}
	if role != nil {
		if given["username"] != role.Username {
			return nil, fmt.Errorf("cannot update static account username")
		}
		role.Period = given["rotation_period"]
		return role, nil
	}
	if given["db_name"] == "" || given["username"] == "" || given["rotation_period"] == "" {
		return nil, fmt.Errorf("a new static role needs db_name, username and rotation_period")
	}
	now := time.Now()
	role = &staticRole{given["db_name"], given["username"], given["rotation_period"], fmt.Sprintf("by-vault-%d", now.UnixNano()), now.UTC().Format(time.RFC3339Nano)}
	conn, err := pgx.Connect(context.Background(), os.Getenv("VAULT_TEST_DATABASE"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(context.Background()) }()
	_, err = conn.Exec(context.Background(), fmt.Sprintf(`ALTER USER %s WITH PASSWORD '%s'`, pgx.Identifier{role.Username}.Sanitize(), role.Password))
	return role, err
}

func walkVault(t *testing.T, r *road) {
	start := func(t *testing.T) (d *database, password func() string) {
		d = newDatabase(newWorld(t, r))
		d.role("app", "before-vault")
		d.env["VAULT_TEST_STATE"], d.env["VAULT_TEST_DATABASE"] = d.file("vault.json"), d.server.DatabaseDSN("app")
		d.write("etc/app/.keep", "")
		d.shell("vault write database/static-roles/app db_name=app username=app rotation_period=24h")
		d.config("prod/app-db")
		return d, func() string {
			return strings.TrimSpace(d.shell("vault read -format=json database/static-creds/app | jq -r .data.password"))
		}
	}
	move := func(d *database) {
		d.run("rotation_period=8760h")
		d.wants(d.run("rota adopt"), "adopt app", " 0 failed")
	}
	t.Run("all the way and back", func(t *testing.T) {
		d, password := start(t)
		before := password()
		move(d)
		if p := d.inEnv("etc/app/db.env", "DB_PASSWORD"); p != before || password() != before {
			t.Errorf("the file's password is %q, Vault's %q, want %q", p, password(), before)
		}
		d.wants(d.shell("rota run"), "prod/app-db: nothing")
		d.run("vault delete")
		d.serves("app", before)
		d.run("rota rotate")
		after := d.inEnv("etc/app/db.env", "DB_PASSWORD")
		d.serves("app", after)
		if after == before {
			t.Error("nothing was rotated")
		}
		d.run("db_name=app")
		d.serves("app", password())
	})
	t.Run("back while both have it", func(t *testing.T) {
		d, password := start(t)
		move(d)
		d.run("static-roles/app username=app rotation_period=24h")
		d.serves("app", password())
		if _, err := os.Stat(d.file("etc/app/db.env")); err != nil {
			t.Error(err)
		}
	})
}
