package service_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/rota-dev/rota/api"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/internal/providers"
	"github.com/rota-dev/rota/internal/service"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/rotation"
)

const licences = `
secrets:
  - {name: shop/a, issuer: {manual: {what: a licence}}, policy: {rotate_every: 90d}}
  - {name: shop/b, issuer: {manual: {what: a licence}}, policy: {rotate_every: 90d}}
  - {name: other/c, issuer: {manual: {what: a licence}}, policy: {rotate_every: 90d}}
`

// operations returns operations on a new store, for a caller with these rules.
func operations(t *testing.T, rules ...string) (*service.Local, *store.DB) {
	t.Helper()
	file, err := config.MustCatalog(providers.List()...).Parse("rota.yaml", []byte(licences))
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), store.Options{Dir: filepath.Join(t.TempDir(), "data")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	wired, err := file.Wire(t.Context(), config.Environment{OwnStore: db.Secret, Outbox: db.Outbox()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = wired.Close() })
	caller := access.Caller{Principal: "ci", Method: "token", From: "192.0.2.7"}
	for _, text := range rules {
		rule, err := access.ParseRule(text)
		if err != nil {
			t.Fatal(err)
		}
		caller.Rules = append(caller.Rules, rule)
	}
	rotator := &rotation.Rotator{Journal: db.Journal(), Now: db.Now, Holder: "test"}
	return &service.Local{
		File: file, Wired: wired, DB: db, Rotator: rotator, Caller: caller, Controls: service.StoreControls{DB: db, Wired: wired, Rotator: rotator},
	}, db
}

func TestFewerPermissionsShowLess(t *testing.T) {
	t.Parallel()
	l, _ := operations(t, "list:shop/*", "rotate:shop/b")
	status, err := l.Status(t.Context(), api.StatusRequest{})
	var names []string
	for _, s := range status.Secrets {
		names = append(names, s.Secret)
	}
	if diff := cmp.Diff([]string{"shop/a", "shop/b"}, names); err != nil || diff != "" {
		t.Errorf("%v, status (-want +got):\n%s", err, diff)
	}
	run, err := l.Run(t.Context(), api.RunRequest{All: true})
	if err != nil || len(run.Secrets) != 1 || run.Secrets[0].Secret != "shop/b" {
		t.Errorf("run worked %+v, %v", run, err)
	}
	alert, err := l.Alert(t.Context())
	if err != nil || alert.Secrets != 1 {
		t.Errorf("alert was about %d secrets, %v", alert.Secrets, err)
	}
}

// A name that doesn't exist and one that the caller can't see look the same.
func TestDenialsAreAuditedAndRevealNothing(t *testing.T) {
	t.Parallel()
	l, db := operations(t, "list:shop/*")
	for _, name := range []string{"other/c", "other/none"} {
		for op, try := range map[string]func() error{
			"status": func() error {
				_, err := l.Status(t.Context(), api.StatusRequest{Names: []string{name}})
				return err
			},
			"rotate": func() error {
				_, err := l.Work(t.Context(), api.WorkRequest{Operation: api.OpRotate, Secrets: []string{"shop/a", name}})
				return err
			},
			"pause": func() error {
				_, err := l.Control(t.Context(), api.ControlRequest{Action: api.ControlPause, Secrets: []string{name}})
				return err
			},
			"get": func() error { _, err := l.Get(t.Context(), api.GetRequest{Secret: name}); return err },
		} {
			if err := try(); !errors.Is(err, access.ErrDenied) {
				t.Errorf("%s of %s: %v, want it denied", op, name, err)
			}
			last, err := db.Audit().Read(t.Context(), store.AuditQuery{Newest: true, Limit: 1, Secret: name})
			if err != nil || len(last) != 1 || last[0].Entry.Outcome != rotation.OutcomeDenied || last[0].Entry.Step != op || last[0].Entry.From != "192.0.2.7" {
				t.Errorf("%s of %s: the audit has %+v, %v", op, name, last, err)
			}
		}
	}
	if _, err := l.Control(t.Context(), api.ControlRequest{Action: api.ControlFreeze}); !errors.Is(err, access.ErrDenied) {
		t.Errorf("freeze: %v", err)
	}
}

func TestStoreControlsOnSecretsWithoutATurn(t *testing.T) {
	t.Parallel()
	l, _ := operations(t, "admin:*")
	state := func() []api.SecretState {
		doc, err := l.Status(t.Context(), api.StatusRequest{})
		if err != nil {
			t.Fatal(err)
		}
		var out []api.SecretState
		for _, s := range doc.Secrets {
			out = append(out, s.State)
		}
		return out
	}
	for _, c := range []struct {
		request api.ControlRequest
		want    []api.SecretState
	}{
		{api.ControlRequest{Action: api.ControlPause, Secrets: []string{"other/c", "shop/a"}, Reason: "audit week"}, []api.SecretState{api.StatePaused, api.StateDue, api.StatePaused}},
		{api.ControlRequest{Action: api.ControlResume, Secrets: []string{"shop/a"}}, []api.SecretState{api.StateDue, api.StateDue, api.StatePaused}},
		{api.ControlRequest{Action: api.ControlDone, Secrets: []string{"shop/b"}}, []api.SecretState{api.StateDue, api.StateOK, api.StatePaused}},
	} {
		doc, err := l.Control(t.Context(), c.request)
		if err != nil || doc.Action != c.request.Action || len(doc.Secrets) != len(c.request.Secrets) {
			t.Errorf("%s: %+v, %v", c.request.Action, doc, err)
		}
		if diff := cmp.Diff(c.want, state()); diff != "" {
			t.Errorf("after %s (-want +got):\n%s", c.request.Action, diff)
		}
	}
	for _, r := range []api.ControlRequest{
		{Action: api.ControlPause}, {Action: api.ControlPause, Secrets: []string{"none"}}, {Action: api.ControlFreeze, Secrets: []string{"shop/a"}}, {Action: "stop"}, {Action: api.ControlReload},
	} {
		_, err := l.Control(t.Context(), r)
		if _, ok := errors.AsType[*service.UsageError](err); !ok {
			t.Errorf("%+v: %v, want an error of the caller's", r, err)
		}
	}
}

func TestPagesOfStatus(t *testing.T) {
	t.Parallel()
	l, _ := operations(t, "list:*")
	var got [][]string
	for after, more := "", true; more; {
		doc, err := l.Status(t.Context(), api.StatusRequest{After: after, Limit: 2})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, s := range doc.Secrets {
			names = append(names, s.Secret)
		}
		got = append(got, names)
		after, more = doc.Next, doc.Next != ""
	}
	if diff := cmp.Diff([][]string{{"other/c", "shop/a"}, {"shop/b"}}, got); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
}
