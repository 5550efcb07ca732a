package kubernetes

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
)

// sync is a stand-in for External Secrets, which can't be had: it writes the Secret at
// some time after the version was put into what it reads.
func (c *cluster) sync(password string) {
	c.Do(c.t, http.MethodPatch, pathOf("", c.namespace, "secrets", "orders")+"?fieldManager=external-secrets", map[string]any{"stringData": map[string]string{"password": password}}, nil)
}

func TestWhatOthersSyncIsWaitedForBeforeTheRestart(t *testing.T) {
	c := start(t)
	c.make("stringData: {password: the-first-one}")
	c.workload("Deployment", "orders", 1, byEnv, "", "")
	c.healthy("Deployment", "orders")
	r := c.reloader(c.admin())
	r.Timeout = time.Second
	req := rota.ReloadRequest{Secret: "prod/orders", Version: "2", From: time.Now().Add(5 * time.Minute)} // the Secret is 5 minutes old, as it were
	wantError(t, r.Reload(t.Context(), req), rota.ClassWait, context.DeadlineExceeded, "hasn't been written since the version was made", "force-sync", "no_wait: true")
	if c.restarted("Deployment", "orders") {
		t.Error("it was restarted with the old value")
	}
	h, err := r.Holders(t.Context(), rota.HoldersRequest{Secret: req.Secret, Version: req.Version, Since: time.Now(), From: req.From})
	if err != nil || len(h) != 1 || !strings.Contains(h[0].Name, "hasn't been written") || len(h[0].Remedies) == 0 {
		t.Errorf("holders: %v, %v", h, err)
	}
	// It's written while the reload waits.
	r.Timeout, req.From = 20*time.Second, time.Now().Add(skew+2*time.Second)
	time.AfterFunc(3*time.Second, func() { c.sync(canary) })
	if err := r.Reload(t.Context(), req); err != nil || !c.restarted("Deployment", "orders") {
		t.Errorf("it wasn't restarted, or: %v", err)
	}
	if at, restart := c.secret("orders").writtenAt(), c.get("Deployment", "orders").lastRestart(); restart.For["orders"] != c.secret("orders").Metadata.ResourceVersion {
		t.Errorf("written %s, restarted for %v", at, restart)
	}
	// With no_wait, it's as it was, and Rota's own Secret is never behind.
	r.NoWait, req.From = true, time.Now().Add(time.Hour)
	if err := r.Reload(t.Context(), req); err != nil {
		t.Error(err)
	}
	r.NoWait, r.Secret = false, "own"
	target := c.target(c.admin())
	target.Object = "own"
	if err := target.Deliver(t.Context(), delivery(canary)); err != nil {
		t.Fatal(err)
	}
	if err := r.Reload(t.Context(), req); err != nil {
		t.Error(err)
	}
}

func TestASyncedSecretMustHoldTheVersion(t *testing.T) {
	c := start(t)
	c.make("stringData: {password: the-first-one, note: the Secret's own}")
	c.workload("Deployment", "orders", 1, byEnv, "", "")
	c.healthy("Deployment", "orders")
	r := c.reloader(c.admin())
	credential := func(password string) rota.Credential {
		return rota.NewCredential(map[string]string{"username": "orders", "password": password})
	}
	// It's written again and again, but never with the version.
	req := rota.ReloadRequest{Secret: "prod/orders", Version: "2", From: time.Now().Add(-time.Hour), Credential: credential(canary)}
	r.Timeout = time.Second
	c.sync("the-old-one-again")
	err := r.Reload(t.Context(), req)
	wantError(t, err, rota.ClassWait, context.DeadlineExceeded, "doesn't hold the version's password yet", "synced_by: write")
	if strings.Contains(err.Error(), canary) || c.restarted("Deployment", "orders") {
		t.Errorf("it shows the password, or was restarted with the old value: %v", err)
	}
	h, err := r.Holders(t.Context(), rota.HoldersRequest{Secret: req.Secret, Version: req.Version, Since: time.Now(), From: req.From, Credential: req.Credential})
	if err != nil || len(h) != 1 || !strings.Contains(h[0].Name, "doesn't hold the version's password") {
		t.Errorf("holders: %v, %v", h, err)
	}
	r.ByWrite = true
	if lacks := r.lacks(delivered{secret: c.secret("orders"), at: time.Now()}, req); lacks != "" {
		t.Errorf("by write, it lacks %s", lacks)
	}
	r.ByWrite = false
	// A value that was there before counts, however old its write is: after a rollback,
	// nothing may have been synced in between.
	req.From, req.Credential = time.Now().Add(time.Hour), credential("the-old-one-again")
	if err := r.Reload(t.Context(), req); err != nil || !c.restarted("Deployment", "orders") {
		t.Errorf("it wasn't restarted, or: %v", err)
	}
}

func TestAVersionIsFoundInWhatASecretHolds(t *testing.T) {
	const odd = `p@ss"word/<1>&2 3`
	c := rota.NewCredential(map[string]string{"username": "orders", "password": odd, "lease": "a-lease-of-vault"})
	for name, tt := range map[string]struct {
		held   string
		fields []string
		want   bool
	}{
		"by itself":               {held: odd, want: true},
		"with a line break":       {held: odd + "\n", want: true},
		"in JSON":                 {held: `{"password":"p@ss\"word/<1>&2 3"}`, want: true},
		"in JSON as Go writes it": {held: `{"password":"p@ss\"word/\u003c1\u003e\u00262 3"}`, want: true},
		"in a URL":                {held: "postgres://orders:p%40ss%22word%2F%3C1%3E&2%203@db/orders", want: true},
		"in a query":              {held: "password=p%40ss%22word%2F%3C1%3E%262+3", want: true},
		"in base64":               {held: "cEBzcyJ3b3JkLzwxPiYyIDM=", want: true},
		"part of it":              {held: `p@ss"word`},
		"a field of two":          {held: odd, fields: []string{"password", "lease"}},
		"another field":           {held: "a-lease-of-vault", fields: []string{"lease"}, want: true},
		"a field that's missing":  {held: odd, fields: []string{"token"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := &Restart{Secret: "orders", Fields: tt.fields}
			d := delivered{secret: secret{Data: map[string][]byte{"k": []byte(tt.held)}}, at: time.Now()}
			if lacks := r.lacks(d, rota.ReloadRequest{From: time.Now(), Credential: c}); (lacks == "") != tt.want || strings.Contains(lacks, odd) {
				t.Errorf("it lacks %q", lacks)
			}
		})
	}
	r := &Restart{}
	if got := r.proofs(rota.NewCredential(map[string]string{"username": "orders_admin", "pin": "1234", "key": "0123456789", "key_id": "abcdefgh"})); len(got) != 2 {
		t.Errorf("unknown fields: %v", got)
	}
	if got := r.proofs(rota.NewCredential(map[string]string{"pin": "1234"})); len(got) != 0 {
		t.Errorf("short values prove nothing: %v", got)
	}
}
