package rabbitmq

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
)

// logsIn is a login that doesn't go through the provider.
func logsIn(t testing.TB, s *testenv.RabbitMQServer, c rota.Credential) bool {
	t.Helper()
	conn, err := dial(s, c)
	if err == nil {
		_ = conn.Close()
	}
	return err == nil
}

func TestOneUsersPasswordIsReplaced(t *testing.T) {
	s := Shared.Get(t)
	u := one(t, connect(t, admin(t, s)), app(t, s, "policymaker", "custom"))
	old := rotate(t, u)
	open := use(t, s, old)
	next := rotate(t, u)
	if logsIn(t, s, old) || !logsIn(t, s, next) {
		t.Error("the old password logs in, or the new one doesn't")
	}
	if open.IsClosed() {
		t.Error("an open connection was closed")
	}
	if err := u.Delete(t.Context(), rota.RetireRequest{CredentialID: u.names[0]}); err == nil {
		t.Error("the only password was deleted")
	}
	var a account
	s.Do(t, http.MethodGet, path("users", u.names[0]), nil, &a)
	if got := strings.Join(a.tags(), ","); got != "policymaker,custom" {
		t.Errorf("the tags are now %q", got)
	}
	// Setting it again leaves the hash alone.
	before := a.Hash
	if err := u.Set(t.Context(), rota.SetRequest{Credential: next}); err != nil {
		t.Fatal(err)
	}
	if s.Do(t, http.MethodGet, path("users", u.names[0]), nil, &a); a.Hash != before {
		t.Error("the hash changed")
	}
}

func TestAPairTakesTurns(t *testing.T) {
	s := Shared.Get(t)
	a := pair(t, connect(t, admin(t, s)), app(t, s), app(t, s))
	first := rotate(t, a)
	second := rotate(t, a, a.CredentialID(first))
	if !logsIn(t, s, first) || !logsIn(t, s, second) {
		t.Fatal("one of the two doesn't log in")
	}
	retire := rota.RetireRequest{CredentialID: a.CredentialID(first)}
	state := func(want bool, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		inForce, known, err := a.InForce(t.Context(), first)
		if logsIn(t, s, first) != want || inForce != want || !known || err != nil {
			t.Errorf("in force %t, known %t (%v), want %t", inForce, known, err, want)
		}
	}
	state(false, a.Deactivate(t.Context(), retire))
	state(true, a.Reactivate(t.Context(), retire))
	state(false, a.Deactivate(t.Context(), retire))
	state(false, a.Delete(t.Context(), retire))
	if third := rotate(t, a, a.CredentialID(second)); a.CredentialID(third) != a.CredentialID(first) {
		t.Error("the freed user isn't the next one")
	}
	if !logsIn(t, s, second) {
		t.Error("the other user's password was touched")
	}
}

// A user of a pair is chosen while it's free. One that's deactivated by the time of the
// set was deactivated since, and stays so.
func TestASetEndsNoDeactivation(t *testing.T) {
	s := Shared.Get(t)
	a := pair(t, connect(t, admin(t, s)), app(t, s), app(t, s))
	first := rotate(t, a)
	retire := rota.RetireRequest{CredentialID: a.CredentialID(first)}
	if err := a.Deactivate(t.Context(), retire); err != nil {
		t.Fatal(err)
	}
	wantError(t, a.Set(t.Context(), rota.SetRequest{Credential: first}), rota.ClassStop, nil, "deactivated meanwhile", "rabbitmqctl clear_password")
	if logsIn(t, s, first) {
		t.Error("it's active again")
	}
	if err := a.Reactivate(t.Context(), retire); err != nil {
		t.Fatal(err)
	}
	if err := a.Set(t.Context(), rota.SetRequest{Credential: first}); err != nil || !logsIn(t, s, first) {
		t.Errorf("once it's active: %v", err)
	}
}

func TestHashesOfTheUsersOwnAlgorithmAreKept(t *testing.T) {
	s := Shared.Get(t)
	u := one(t, connect(t, admin(t, s)), app(t, s))
	for _, algorithm := range []string{"rabbit_password_hashing_sha512", "rabbit_password_hashing_md5"} {
		s.Do(t, http.MethodPut, path("users", u.names[0]), map[string]any{"password_hash": "AAAA", "hashing_algorithm": algorithm, "tags": ""}, nil)
		c := rotate(t, u)
		var a account
		if s.Do(t, http.MethodGet, path("users", u.names[0]), nil, &a); a.Algorithm != algorithm && a.Algorithm != sha256Module || !logsIn(t, s, c) {
			t.Errorf("after %s it's %s", algorithm, a.Algorithm)
		}
	}
	if _, known := matches(account{Hash: "AAAAAAAAAAAA", Algorithm: "rabbit_password_hashing_md5"}, "x"); known {
		t.Error("MD5 counts as known")
	}
}

func TestAUserThatIsGoneIsNotMadeAgain(t *testing.T) {
	s := Shared.Get(t)
	u := one(t, connect(t, admin(t, s)), "nobody at all")
	c, err := u.Create(t.Context(), rota.CreateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, u.Set(t.Context(), rota.SetRequest{Credential: c}), rota.ClassStop, rota.ErrNotFound, "rabbitmqctl add_user 'nobody at all'")
	if f := testenv.FindingOf(t, u, "find user"); f.OK || len(f.Remedies) == 0 {
		t.Errorf("check says %+v", f)
	}
	if _, known, err := u.InForce(t.Context(), c); known || err != nil {
		t.Errorf("known %t, %v", known, err)
	}
}

func TestConnectionsAreUse(t *testing.T) {
	s := Shared.Get(t)
	u := one(t, connect(t, admin(t, s)), app(t, s))
	c := rotate(t, u)
	conn := use(t, s, c)
	until := func(detail string) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			used, err := u.LastUsed(t.Context(), u.CredentialID(c))
			if err != nil {
				t.Fatal(err)
			}
			if used.Evidence == rota.EvidenceSampled && used.Detail == detail && used.At.IsZero() == (detail == "") {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("still %+v, want %q", used, detail)
			}
		}
	}
	until("connections: 1 from 127.0.0.1")
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	until("")
}

// The answer is the one that RabbitMQ 3.10 gives with disable_metrics_collector.
func TestConnectionsAreUseWithoutStatisticsToo(t *testing.T) {
	s := Shared.Get(t)
	c, f := through(t, s)
	u := one(t, c, app(t, s))
	f.answers = map[string]string{"/api/connections": fmt.Sprintf(`[{"user": "other"}, {"user": %q}]`, u.names[0])}
	used, err := u.LastUsed(t.Context(), u.names[0])
	if err != nil || used.Evidence != rota.EvidenceSampled || used.At.IsZero() || used.Detail != "connections: 1" {
		t.Errorf("got %+v, %v", used, err)
	}
	f.answers["/api/connections"] = `[{}]`
	if used, err := u.LastUsed(t.Context(), u.names[0]); err != nil || used.Evidence != rota.EvidenceUnknown {
		t.Errorf("a connection of nobody's: %+v, %v", used, err)
	}
}

// The answers are a cluster's whose second node is down, which takes a second server.
func TestWhatCantBeSeenCountsAsUse(t *testing.T) {
	s := Shared.Get(t)
	for nodes, remedy := range map[string]string{
		`[{"name": "a", "running": true, "partitions": []}, {"name": "b", "running": false}]`:   "forget_cluster_node b",
		`[{"name": "a", "running": true, "partitions": ["b"]}, {"name": "b", "running": true}]`: "partition between a and b",
	} {
		c, f := through(t, s)
		f.answers = map[string]string{"/api/nodes": nodes}
		u := one(t, c, app(t, s))
		used, err := u.LastUsed(t.Context(), u.names[0])
		if err != nil || used.Evidence != rota.EvidenceUnknown || len(used.Remedies) == 0 || !strings.Contains(used.Remedies[0].String(), remedy) {
			t.Errorf("got %+v, %v", used, err)
		}
		if f := testenv.FindingOf(t, u, "see connections"); f.OK || !f.Warning || len(f.Remedies) == 0 {
			t.Errorf("check says %+v", f)
		}
	}
}

func TestWhatTheOtherUserHasIsMissed(t *testing.T) {
	s := Shared.Get(t)
	for name, change := range map[string]struct {
		method, path string // of the first of the pair
		body         any
		lacks        string
	}{
		"a permission":       {http.MethodPut, "/permissions/%2F/%s", map[string]any{"configure": "^x", "write": ".*", "read": ".*"}, `configure "^x" on vhost /`},
		"a topic permission": {http.MethodPut, "/topic-permissions/%2F/%s", map[string]any{"exchange": "amq.topic", "write": "^a", "read": ".*"}, `write "^a" topics of exchange amq.topic on vhost /`},
		"a tag":              {http.MethodPut, "/users/%s", map[string]any{"password_hash": "", "tags": "monitoring"}, "tag monitoring"},
		"a limit":            {http.MethodPut, "/user-limits/%s/max-channels", map[string]any{"value": 7}, "max-channels 7"},
	} {
		t.Run(name, func(t *testing.T) {
			a := pair(t, connect(t, admin(t, s)), app(t, s), app(t, s))
			if f := testenv.FindingOf(t, a, "same rights"); !f.OK {
				t.Fatalf("at first: %+v", f)
			}
			s.Do(t, change.method, strings.ReplaceAll(change.path, "%s", url.PathEscape(a.names[0])), change.body, nil)
			if f := testenv.FindingOf(t, a, "same rights"); f.OK || !strings.Contains(f.Detail, change.lacks) || len(f.Remedies) == 0 {
				t.Errorf("check says %+v", f)
			}
			c, err := a.Create(t.Context(), rota.CreateRequest{Taken: a.names[:1]})
			if err == nil {
				err = a.Set(t.Context(), rota.SetRequest{Credential: c})
			}
			if err != nil {
				t.Fatal(err)
			}
			wantError(t, a.Test(t.Context(), rota.TestRequest{Credential: c}), rota.ClassStop, nil, change.lacks, "same tags")
		})
	}
}

func TestTheVirtualHostMustOpen(t *testing.T) {
	s := Shared.Get(t)
	s.Do(t, http.MethodPut, "/vhosts/shop", nil, nil)
	c := connect(t, admin(t, s))
	name := app(t, s)
	i, err := c.User(UserConfig{User: name, VHost: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	u := i.(*single)
	cred := rotate(t, one(t, c, name))
	wantError(t, u.Test(t.Context(), rota.TestRequest{Credential: cred}), rota.ClassStop, nil, "access to vhost 'shop'", "rabbitmqctl set_permissions -p shop '"+name+"'")
	if f := testenv.FindingOf(t, u, "may open vhost shop"); f.OK || !f.Warning || !strings.Contains(rota.Hint(f.Remedies), "set_permissions") {
		t.Errorf("without permissions, check says %+v", f)
	}
	if i, err = c.User(UserConfig{User: name, VHost: "gone/by now"}); err != nil {
		t.Fatal(err)
	}
	wantError(t, i.Test(t.Context(), rota.TestRequest{Credential: cred}), rota.ClassStop, nil, "not found", "rabbitmqctl add_vhost 'gone/by now'")
	if f := testenv.FindingOf(t, i.(rota.Preflighter), "may open vhost gone"); f.OK || f.Warning || !strings.Contains(rota.Hint(f.Remedies), "add_vhost") {
		t.Errorf("without the vhost, check says %+v", f)
	}
	s.Do(t, http.MethodPut, "/permissions/shop/"+url.PathEscape(name), map[string]any{"configure": "", "write": "", "read": ""}, nil)
	if err := u.Test(t.Context(), rota.TestRequest{Credential: cred}); err != nil {
		t.Error(err)
	}
	if f := testenv.FindingOf(t, u, "may open vhost shop"); !f.OK {
		t.Errorf("check says %+v", f)
	}
	s.Do(t, http.MethodPut, "/user-limits/"+url.PathEscape(name)+"/max-connections", map[string]any{"value": 0}, nil)
	wantError(t, u.Test(t.Context(), rota.TestRequest{Credential: cred}), rota.ClassWait, nil, "limit", "raise the limit")
	if err := one(t, c, name).Test(t.Context(), rota.TestRequest{Credential: cred}); err != nil {
		t.Errorf("the password is right, whatever the limit: %v", err)
	}
}

func TestAServerIsTheSameByAllItsNames(t *testing.T) {
	s := Shared.Get(t)
	cfg := admin(t, s)
	here, err := connect(t, cfg).Identity(t.Context())
	if err != nil || here == "" {
		t.Fatal(here, err)
	}
	cfg.URL = strings.Replace(cfg.URL, "127.0.0.1", "localhost", 1)
	if again, err := connect(t, cfg).Identity(t.Context()); err != nil || again != here {
		t.Errorf("%q and %q (%v)", here, again, err)
	}
	c, f := through(t, s)
	f.answers = map[string]string{"/api/nodes": `[{"name": "rota@elsewhere"}]`}
	if other, err := c.Identity(t.Context()); err != nil || other == here {
		t.Errorf("a cluster with the same definitions is %q, too (%v)", other, err)
	}
}

func TestValuesAreOnlyInBodies(t *testing.T) {
	s := Shared.Get(t)
	c, f := through(t, s)
	u := one(t, c, app(t, s))
	cred := rotate(t, u)
	f.mu.Lock()
	defer f.mu.Unlock()
	password := cred.Field(rota.FieldPassword)
	if !strings.Contains(f.sent.String(), "password_hash") || strings.Contains(f.sent.String(), password) {
		t.Error("the request has no hash, or the password itself")
	}
	for _, secret := range []string{password, adminPassword} {
		if strings.Contains(f.seen.String(), secret) || strings.Contains(string(s.Logs(t)), secret) {
			t.Error("a password is in an address or in the server's log")
		}
	}
}

// The answer is the one that RabbitMQ 4.4 gives, which shows hashes in the
// definitions alone. A password that isn't shown must not count as none: the user
// would be taken for free, or its credential for gone.
func TestAHashThatsOnlyInTheDefinitions(t *testing.T) {
	s := Shared.Get(t)
	c, f := through(t, s)
	a, b := app(t, s), app(t, s)
	i := pair(t, c, a, b)
	first := rotate(t, i)
	f.answers = map[string]string{}
	for _, name := range []string{a, b} {
		f.answers["/api/users/"+name] = fmt.Sprintf(`{"name":%q,"hashing_algorithm":"rabbit_password_hashing_sha256","tags":[],"limits":{},"has_password":%t}`, name, name == a)
	}
	if inForce, known, err := i.InForce(t.Context(), first); err != nil || !inForce || !known {
		t.Errorf("in force %t, known %t, %v", inForce, known, err)
	}
	if all, err := i.List(t.Context()); err != nil || len(all) != 1 || all[0].ID != a || !all[0].Active {
		t.Errorf("listed are %+v, %v", all, err)
	}
	if err := i.Deactivate(t.Context(), rota.RetireRequest{CredentialID: a}); err != nil || logsIn(t, s, first) {
		t.Errorf("it's still active: %v", err)
	}
	if err := one(t, c, a).Delete(t.Context(), rota.RetireRequest{CredentialID: a}); !errors.Is(err, rota.ErrConflict) {
		t.Errorf("the only password: %v", err)
	}
	f.answers["/api/definitions"] = `{"users":[]}`
	_, err := i.List(t.Context())
	wantError(t, err, rota.ClassStop, nil, "doesn't show the hash of user "+a, "/api/definitions")
}
