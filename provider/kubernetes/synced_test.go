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
