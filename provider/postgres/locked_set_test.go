package postgres

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
)

// Somebody locks the role of a pair's new password after Rota listed the roles: before the
// set, or in a transaction that ends while the set waits for it. The set sees that under
// the role's lock.
func TestASetKeepsALockThatTheListHadnt(t *testing.T) {
	s := shared.Get(t)
	admins := map[string]func(testing.TB, *testenv.PostgresServer) *Connection{"with pg_authid": superuser, "without pg_authid": admin}
	for name, test := range map[string]struct {
		lock, unlock string
		as           []string
	}{
		"NOLOGIN":     {" NOLOGIN", " LOGIN, if it's meant", []string{"with pg_authid"}},
		"VALID UNTIL": {" VALID UNTIL '2001-01-01'", " VALID UNTIL 'infinity', if it's meant", []string{"with pg_authid", "without pg_authid"}},
	} {
		for _, as := range test.as {
			for _, when := range []string{"before it", "while it waits"} {
				t.Run(name+", "+as+", "+when, func(t *testing.T) {
					issuer := must(admins[as](t, s).Alternating(pair(t, s)))
					l := newLockable(t, s, issuer)
					first := must(issuer.Create(t.Context(), rota.CreateRequest{Taken: []string{l.name(rota.LabelCurrent)}}))
					if err := issuer.Set(t.Context(), rota.SetRequest{Credential: first}); err != nil {
						t.Fatal(err)
					}
					spare := first.Field(rota.FieldUsername)
					conn := must(pgx.Connect(t.Context(), s.DSN()))
					defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
					tx := must(conn.Begin(t.Context()))
					must(tx.Exec(t.Context(), "ALTER ROLE "+quote(spare)+test.lock))
					ended := make(chan error, 1)
					set := func() { ended <- issuer.Set(t.Context(), rota.SetRequest{Credential: first}) }
					if when == "while it waits" {
						go set()
						look := must(pgx.Connect(t.Context(), s.DSN()))
						defer func() { _ = look.Close(context.WithoutCancel(t.Context())) }()
						eventually(t, func() bool {
							var waits bool
							err := look.QueryRow(t.Context(), "SELECT count(*) > 0 FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))", conn.PgConn().PID()).Scan(&waits)
							return err == nil && waits
						})
					}
					if err := tx.Commit(t.Context()); err != nil {
						t.Fatal(err)
					}
					before := l.role(t, spare)
					if when == "before it" {
						go set()
					}
					var err error
					select {
					case err = <-ended:
					case <-time.After(30 * time.Second):
						t.Fatal("the set doesn't end")
					}
					if err == nil || rota.ClassOf(err) != rota.ClassStop || !strings.Contains(err.Error(), "was locked at the server") {
						t.Errorf("the set says %v", err)
					}
					if r := rota.RemediesOf(err); len(r) != 1 || !strings.Contains(r[0].Text, quote(spare)+test.unlock) {
						t.Errorf("the remedies are %+v", r)
					}
					if now := l.role(t, spare); now != before {
						t.Errorf("the role is %q, and was %q", now, before)
					}
					undo, _, _ := strings.Cut(test.unlock, ",")
					s.Exec(t, "ALTER ROLE "+quote(spare)+undo)
					if err := issuer.Set(t.Context(), rota.SetRequest{Credential: first}); err != nil {
						t.Errorf("once it's unlocked: %v", err)
					}
				})
			}
		}
	}
}
