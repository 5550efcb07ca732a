package postgres

import (
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
)

// answering is a connection to a server that answers each login with an error.
func answering(t *testing.T, code, message string) *Connection {
	t.Helper()
	at, _ := testenv.PostgresImpostor(t, "tcp", "127.0.0.1:0", &pgproto3.ErrorResponse{Severity: "FATAL", Code: code, Message: message})
	host, port, _ := net.SplitHostPort(at.String())
	return connect(t, Config{Host: host, Port: must(strconv.Atoi(port)), Username: "rota", Password: adminPassword})
}

// PgBouncer answers with one code whatever it has against a login.
func TestALoginThatPgBouncerRefusesIsRefused(t *testing.T) {
	for _, message := range []string{"SASL authentication failed", "password authentication failed"} {
		c := answering(t, "08P01", message)
		i := must(c.Password(PasswordConfig{Role: "app"}))
		made := must(i.Create(t.Context(), rota.CreateRequest{}))
		wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: made}), rota.ClassWait, rota.ErrRefused, message)
		wantError(t, c.Query("one", "SELECT 1").Check(t.Context(), made), rota.ClassWait, rota.ErrRefused, message)
		wantError(t, c.Ping(t.Context()), rota.ClassStop, nil, message, "check username and password of connection app-db")
		f := i.(*password).asked(t.Context(), "app")
		if !f.OK || f.Detail != "it rejects a wrong one" {
			t.Errorf("check: %+v", f)
		}
	}
	for _, message := range []string{"server login has been failing, try again later (server_login_retry)", "no such database: app", "pgbouncer cannot connect to server", "query_wait_timeout"} {
		c := answering(t, "08P01", message)
		i := must(c.Password(PasswordConfig{Role: "app"}))
		err := i.Test(t.Context(), rota.TestRequest{Credential: must(i.Create(t.Context(), rota.CreateRequest{}))})
		wantError(t, err, rota.ClassWait, nil, message)
		if errors.Is(err, rota.ErrRefused) || i.(*password).asked(t.Context(), "app").OK {
			t.Errorf("%s is taken for a refused password", message)
		}
	}
}

func TestAServerThatAnswersLoginsLateNeedsALongerTimeout(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts, and nobody answers
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	late := connect(t, Config{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, Username: "rota", ConnectTimeout: 20 * time.Millisecond})
	wantError(t, late.Ping(t.Context()), rota.ClassWait, nil, "a longer connect_timeout for connection app-db, which is 20ms")
	i := must(late.Password(PasswordConfig{Role: "app"}))
	wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: must(i.Create(t.Context(), rota.CreateRequest{}))}), rota.ClassWait, nil, "a longer connect_timeout")

	// auth_delay makes the server wait before it says that a password is wrong.
	s := testenv.Postgres(t, testenv.PostgresOptions{Settings: map[string]string{"shared_preload_libraries": "auth_delay", "auth_delay.milliseconds": "60000"}})
	slow := connect(t, Config{Host: s.Host, Port: s.Port, Username: s.Superuser(), ConnectTimeout: 2 * time.Second})
	if f := must(slow.Password(PasswordConfig{Role: role(t, s)})).(*password).asked(t.Context(), "app"); f.OK || !strings.Contains(rota.Hint(f.Remedies), "a longer connect_timeout") {
		t.Errorf("check: %+v", f)
	}
}
