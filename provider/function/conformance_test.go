package function_test

import (
	"bytes"
	"cmp"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/function"
	"github.com/rota-dev/rota/provider/function/functiontest"
	"github.com/rota-dev/rota/provider/providertest"
)

const (
	keyID     = "ROTAFUNCTION00000000"
	secretKey = "function-canary-7Hd2"
)

// start starts a function, and a connection to it.
func start(t testing.TB, change func(*function.Config), users ...string) (*functiontest.Function, *function.Connection) {
	t.Helper()
	listen := testenv.Address(t)
	f := functiontest.New(t, "http://"+listen, keyID, secretKey, users...)
	return f, connect(t, f, listen, change)
}

func connect(t testing.TB, f *functiontest.Function, listen string, change func(*function.Config)) *function.Connection {
	t.Helper()
	cfg := function.Config{URL: f.URL + functiontest.Path, Listen: listen, AccessKeyID: keyID, SecretAccessKey: secretKey, Timeout: 5 * time.Second}
	if change != nil {
		change(&cfg)
	}
	c, err := function.New("rotate", cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// step matches the call of the function for a step.
func step(name string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		body, err := io.ReadAll(r.Body)
		return err == nil && bytes.Contains(body, []byte(`"Step":"`+name+`"`))
	}
}

func inject(f *functiontest.Function) providertest.Inject {
	return func(op string, kind providertest.FaultKind) bool {
		name, ok := map[string]string{"set": "setSecret", "test": "testSecret", "delete": "setSecret"}[op]
		if op == "delete" && kind == providertest.Hang {
			name = "createSecret" // the first of two calls
		}
		if ok {
			f.When(step(name), kind)
		}
		return ok
	}
}

func credential(user, password string) rota.Credential {
	return rota.NewCredential(map[string]string{"engine": "postgres", "host": "db.internal", "username": user, "password": password})
}

func TestIssuersKeepTheContract(t *testing.T) {
	for name, test := range map[string]struct {
		users []string
		admin bool
		arn   string
	}{
		"one user":                              {},
		"one user, changed by an administrator": {admin: true},
		"one user, whose ARN is known":          {arn: "arn:aws:secretsmanager:eu-central-1:111122223333:secret:prod/orders-db-AbCdEf"},
		"two users":                             {users: []string{"orders", "orders_clone"}, admin: true},
	} {
		t.Run(name, func(t *testing.T) {
			providertest.Issuer(t, func(t *testing.T) providertest.IssuerFixture {
				f, c := start(t, nil, test.users...)
				current := credential("orders_clone", "current-canary-5Tk8")
				f.SetPassword("orders_clone", "current-canary-5Tk8")
				cfg := function.CredentialConfig{Name: cmp.Or(test.arn, "prod/orders-db"), Fields: []string{"engine", "host", "username", "password"}, Users: test.users}
				if test.admin {
					f.Admin = "prod/admin"
					f.SetPassword("admin", "admin-canary-2Mf4")
					cfg.Secrets = map[string]rota.Credential{"prod/admin": credential("admin", "admin-canary-2Mf4")}
				}
				return providertest.IssuerFixture{Issuer: c.Credentials(cfg), Current: current, Inject: inject(f), PublicFields: []string{"engine", "host"}}
			})
		})
	}
}

// wrong checks an error's class, its text, and that it gives nothing away.
func wrong(t testing.TB, err error, class rota.Class, parts ...string) {
	t.Helper()
	if err == nil || rota.ClassOf(err) != class {
		t.Fatalf("want an error of class %q, got %v", class, err)
	}
	text := rota.WithHint(err.Error(), rota.RemediesOf(err), rota.Remedy.String)
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("the error lacks %q: %s", part, text)
		}
	}
	if strings.Contains(text, "canary") {
		t.Errorf("the error holds a value: %s", text)
	}
}
