package cli_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/cli"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/rotation"
)

// The scripts of testdata/script run the commands as people do. Those at the
// top need nothing but this machine; those in postgres and moto speak to the
// real thing.
//
// Beside testscript's own commands they have
//
//	clock TIME           stops the clock of rota and of the in-memory AWS, at a
//	                     moment, or so long after the machine's: clock +10d
//	aws ...              the in-memory AWS, see aws_test.go
//	exits CODE PROGRAM...  runs a program that must exit with the code, again while
//	                     another worker holds the secret
//	lease NAME TTL       another worker takes the secret, for so long
//	fill FILE            puts the environment's values in the place of @NAME@
//	serve [FLAG...]      starts rota serve, and puts its address into ADDRESS
//	token FILE NAME      puts the token in the last stdout into a file and a variable
//	json PATH VALUE      the last stdout is one JSON document, with this value
//	rotapath NAME        puts the path of the program rota into a variable
//	sdk FILE PROFILE KEY gets a profile's access key with AWS's SDK, which must be
//	                     the one in the file KEY
//	tamper STATEMENT     changes the audit in the data folder behind Rota's back
//	sql STATEMENT        runs a statement as PostgreSQL's superuser
//	copysql STATEMENT    the same on a copy of that server
//	login ROLE FILE      logs in to PostgreSQL with the password in the file

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"rota": main})
}

// main is the shipped program but for its clock, which a test may stop.
func main() {
	p := cli.Program{Env: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	if text := os.Getenv(clockVariable); text != "" {
		stopped, err := time.Parse(time.RFC3339, text)
		if err != nil {
			panic(err)
		}
		p.Now = func() time.Time { return stopped }
	}
	os.Exit(p.Run(context.Background(), os.Args[1:]))
}

const clockVariable = "ROTA_TEST_CLOCK"

// setUp gives a script a home of its own and nothing of this machine's AWS.
func setUp(e *testscript.Env) error {
	for _, pair := range []string{
		"HOME=" + e.WorkDir, "XDG_STATE_HOME=", "XDG_CONFIG_HOME=", "ROTA_ACTOR=ann@example", "TZ=UTC", "LANG=C.UTF-8", "COLUMNS=400", // so that a pattern matches a whole row

		"ROTA_DATA_DIR=" + e.WorkDir + "/data", "AWS_EC2_METADATA_DISABLED=true", "AWS_REGION=eu-central-1",
		"AWS_CONFIG_FILE=" + e.WorkDir + "/none", "AWS_SHARED_CREDENTIALS_FILE=" + e.WorkDir + "/none",
	} {
		name, value, _ := strings.Cut(pair, "=")
		e.Setenv(name, value)
	}
	return nil
}

func params(dir string) testscript.Params {
	return testscript.Params{
		Dir: dir, Setup: setUp, RequireUniqueNames: true, RequireExplicitExec: true,
		UpdateScripts: os.Getenv("ROTA_UPDATE_SCRIPTS") != "",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"clock": clockCommand, "aws": awsCommand, "json": jsonCommand, "exits": exitsCommand, "lease": leaseCommand, "fill": fillCommand,
			"serve": serveCommand, "token": tokenCommand, "tamper": tamperCommand, "rotapath": rotaPathCommand, "sdk": sdkCommand,
		},
	}
}

func TestScripts(t *testing.T) { testscript.Run(t, params("testdata/script")) }

func TestScriptsOnPostgreSQL(t *testing.T) {
	server := testenv.Postgres(t, testenv.PostgresOptions{})
	restored := testenv.Postgres(t, testenv.PostgresOptions{}) // a copy: both are made from the same files
	p := params("testdata/script/postgres")
	p.Setup = func(e *testscript.Env) error {
		e.Setenv("DB_HOST", server.Host)
		e.Setenv("DB_PORT", strconv.Itoa(server.Port))
		e.Setenv("DB_SOCKET", server.Socket)
		e.Setenv("COPY_PORT", strconv.Itoa(restored.Port))
		return setUp(e)
	}
	p.Cmds["sql"] = func(ts *testscript.TestScript, _ bool, args []string) {
		ts.Check(query(server.DSN(), args[0]))
	}
	p.Cmds["copysql"] = func(ts *testscript.TestScript, _ bool, args []string) {
		ts.Check(query(restored.DSN(), args[0]))
	}
	p.Cmds["login"] = func(ts *testscript.TestScript, neg bool, args []string) {
		c, err := pgx.ParseConfig(server.DSN())
		ts.Check(err)
		c.User, c.Password = args[0], ts.ReadFile(args[1])
		conn, err := pgx.ConnectConfig(context.Background(), c)
		if err == nil {
			_ = conn.Close(context.Background())
		}
		if (err == nil) == neg {
			ts.Fatalf("login as %s: %v", args[0], err)
		}
	}
	testscript.Run(t, p)
}

func query(dsn, statement string) error {
	conn, err := pgx.Connect(context.Background(), dsn)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.Background()) }()
	_, err = conn.Exec(context.Background(), statement)
	return err
}

// jsonCommand checks that the last stdout is one JSON document, and one value
// of it: json secrets.0.state done. A dot alone checks the document only.
func jsonCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: json PATH [VALUE]")
	}
	var v any
	if err := json.Unmarshal([]byte(ts.ReadFile("stdout")), &v); err != nil {
		ts.Fatalf("stdout is not one JSON document: %v", err)
	}
	for _, key := range strings.FieldsFunc(args[0], func(r rune) bool { return r == '.' }) {
		switch x := v.(type) {
		case map[string]any:
			value, ok := x[key]
			if !ok {
				ts.Fatalf("%s: no key %q", args[0], key)
			}
			v = value
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(x) {
				ts.Fatalf("%s: no element %q of %d", args[0], key, len(x))
			}
			v = x[i]
		default:
			ts.Fatalf("%s: nothing below %q", args[0], key)
		}
	}
	if len(args) == 2 && fmt.Sprint(v) != args[1] {
		ts.Fatalf("%s is %v, want %s", args[0], v, args[1])
	}
}

// exitsCommand runs a program that must exit with a code: exits 3 rota run.
func exitsCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGUMENT...")
	}
	code := exitCode(ts, args[1:])
	// The daemon's own turn may hold a lease just then: ask until it's over.
	for deadline := time.Now().Add(30 * time.Second); fmt.Sprint(code) != args[0] && time.Now().Before(deadline); {
		if !strings.Contains(ts.ReadFile("stdout")+ts.ReadFile("stderr"), rota.ErrBusy.Error()) {
			break
		}
		code = exitCode(ts, args[1:])
	}
	ts.Logf("[exit code %d]", code)
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

func exitCode(ts *testscript.TestScript, args []string) int {
	err := ts.Exec(args[0], args[1:]...)
	if err == nil {
		return 0
	}
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		ts.Fatalf("%s: %v", args[0], err)
	}
	return exit.ExitCode()
}

// leaseCommand lets another worker take a secret: lease prod/cms 1m.
func leaseCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: lease NAME TTL")
	}
	ttl, err := time.ParseDuration(args[1])
	ts.Check(err)
	db, err := store.Open(context.Background(), store.Options{Dir: ts.Getenv("ROTA_DATA_DIR")})
	ts.Check(err)
	_, err = db.Journal().Acquire(context.Background(), rotation.AcquireRequest{Secret: args[0], Holder: "somebody else", TTL: ttl})
	ts.Check(err)
	// A worker that ends gives its leases up: this one lives as long as the
	// script.
	ts.Defer(func() { _ = db.Close() })
}

// tamperCommand changes the audit in the data folder: tamper 'DELETE FROM audit'.
func tamperCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: tamper STATEMENT")
	}
	db, err := sql.Open("sqlite", filepath.Join(ts.Getenv("ROTA_DATA_DIR"), "rota.db")+"?_pragma=busy_timeout(10000)")
	ts.Check(err)
	_, err = db.Exec("DROP TRIGGER IF EXISTS audit_no_update; DROP TRIGGER IF EXISTS audit_no_delete; " + args[0])
	ts.Check(errors.Join(err, db.Close()))
}

var placeholder = regexp.MustCompile(`@[A-Z_]+@`)

// fillCommand puts the environment's values into a file: fill rota.yaml.
func fillCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: fill FILE")
	}
	text := placeholder.ReplaceAllStringFunc(ts.ReadFile(args[0]), func(name string) string {
		return ts.Getenv(strings.Trim(name, "@"))
	})
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}
