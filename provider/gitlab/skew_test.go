package gitlab_test

import (
	"testing"
	"time"

	"github.com/rota-dev/rota"
)

// A token whose answer was lost is recognized by when it was made, whatever GitLab's
// clock shows.
func TestATokensDateIsByRotasClock(t *testing.T) {
	for _, skew := range []time.Duration{-10 * time.Minute, 0, 10 * time.Minute} {
		server, connection := start(t)
		server.SetNow(func() time.Time { return time.Now().Add(skew) })
		issuer := issuers["project"].Tokens
		issuer.Connection, issuer.ExpiresAfter = connection, 30*rota.Day
		if _, err := issuer.Create(t.Context(), rota.CreateRequest{}); err != nil {
			t.Fatal(err)
		}
		list, err := issuer.List(t.Context())
		if err != nil || len(list) != 1 || time.Since(list[0].CreatedAt).Abs() > 5*time.Second {
			t.Errorf("%s: %+v (%v)", skew, list, err)
		}
	}
}
