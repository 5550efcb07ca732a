package service

import (
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota/api"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/rotation"
)

var noon = time.Date(2026, 4, 1, 12, 0, 0, 0, time.Local)

func TestTheStateOfASecret(t *testing.T) {
	looked := rotation.Status{LookedAt: noon.Add(-time.Hour), Version: "v", Next: rota.StepCreate}
	due := func(at time.Time, hold rotation.HoldKind) rotation.Status {
		s := looked
		s.DueAt, s.Hold = at, hold
		return s
	}
	overdue := func(by time.Duration) rotation.Status {
		s := looked
		s.RotateAt, s.Reason = noon.Add(-by), "the window is shut"
		return s
	}
	stopped := func(ago time.Duration) rotation.Status {
		s := due(noon.Add(rota.Day), "")
		s.BegunAt = noon.Add(-ago)
		return s
	}
	given := due(noon, rotation.HoldQuarantined)
	given.Reason = "given up"
	halt := rotation.Halt{By: "ann", Why: "audit week", At: noon}
	failure := &rotation.Failure{Step: rota.StepTest, Attempts: 2, Error: "refused", At: noon}
	for _, c := range []struct {
		name string
		s    secretState
		want api.SecretState
	}{
		{"never looked at is due", secretState{}, api.StateDue},
		{"due in a day is ok", secretState{SecretStatus: store.SecretStatus{Status: due(noon.Add(rota.Day), "")}}, api.StateOK},
		{"never due is ok", secretState{SecretStatus: store.SecretStatus{Status: looked}}, api.StateOK},
		{"due an hour ago is due", secretState{SecretStatus: store.SecretStatus{Status: due(noon.Add(-time.Hour), "")}}, api.StateDue},
		{"held for an hour is held", secretState{SecretStatus: store.SecretStatus{Status: due(noon.Add(-time.Hour), rotation.HoldInUse)}}, api.StateHeld},
		{"held for two days is late", secretState{SecretStatus: store.SecretStatus{Status: due(noon.Add(-2*rota.Day), rotation.HoldInUse)}}, api.StateLate},
		{"a rotation that is two days over its time is late, though nothing is due", secretState{SecretStatus: store.SecretStatus{Status: overdue(2 * rota.Day)}}, api.StateLate},
		{"a rotation that is an hour over its time is not", secretState{SecretStatus: store.SecretStatus{Status: overdue(time.Hour)}}, api.StateOK},
		{"a turn that was stopped in the middle is due", secretState{SecretStatus: store.SecretStatus{Status: stopped(time.Hour)}}, api.StateDue},
		{"a first turn that was stopped in the middle is due", secretState{SecretStatus: store.SecretStatus{Status: rotation.Status{BegunAt: noon.Add(-time.Hour)}}}, api.StateDue},
		{"a turn that was stopped two days ago is late", secretState{SecretStatus: store.SecretStatus{Status: stopped(2 * rota.Day)}}, api.StateLate},
		{"a turn that somebody is at is not", secretState{SecretStatus: store.SecretStatus{Status: stopped(time.Hour), Holder: "host/1/abc"}}, api.StateOK},
		{"what was given up is quarantined", secretState{SecretStatus: store.SecretStatus{Status: given, Failure: failure, NextAt: noon}}, api.StateQuarantined},
		{"what was given up and resumed is due", secretState{SecretStatus: store.SecretStatus{Status: due(noon, rotation.HoldQuarantined), Failure: failure}}, api.StateDue},
		{"paused is paused, looked at or not", secretState{paused: &halt}, api.StatePaused},
		{"paused is paused, though it is due", secretState{SecretStatus: store.SecretStatus{Status: due(noon.Add(-time.Hour), rotation.HoldPaused)}, paused: &halt}, api.StatePaused},
		{"paused for too long is late", secretState{SecretStatus: store.SecretStatus{Status: due(noon.Add(-2*rota.Day), rotation.HoldPaused)}, paused: &halt}, api.StateLate},
		{"resumed and not looked at since is due", secretState{SecretStatus: store.SecretStatus{Status: due(noon.Add(-time.Hour), rotation.HoldPaused)}}, api.StateDue},
		{"frozen is held", secretState{SecretStatus: store.SecretStatus{Status: due(noon.Add(-time.Hour), rotation.HoldFrozen)}, frozen: true}, api.StateHeld},
		{"thawed and not looked at since is due", secretState{SecretStatus: store.SecretStatus{Status: due(noon.Add(-time.Hour), rotation.HoldFrozen)}}, api.StateDue},
		{"a failure is told before it is late", secretState{SecretStatus: store.SecretStatus{Status: due(noon.Add(-2*rota.Day), ""), Failure: failure}}, api.StateFailed},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := statusOf("s", c.s, rotation.Policy{}, noon)
			if got.State != c.want {
				t.Errorf("%s, want %s", got.State, c.want)
			}
			if c.want != api.StateOK && c.want != api.StateDue && c.want != api.StateHeld && got.Reason == "" {
				t.Error("there is no reason")
			}
		})
	}
}

func TestAnInterruptedTurnIsReported(t *testing.T) {
	status := rotation.Status{LookedAt: noon, BegunAt: noon, Reason: "rotate when it is 90d old"}
	const want = "work started at 2026-04-01 12:00 never finished"
	if got := statusOf("s", secretState{SecretStatus: store.SecretStatus{Status: status}}, rotation.Policy{}, noon); got.Reason != want || !got.BegunAt.Equal(noon) || rota.Hint(got.Remedies) != "run" {
		t.Errorf("%q since %s, want %q since %s", got.Reason, got.BegunAt, want, noon)
	}
	failed := secretState{SecretStatus: store.SecretStatus{Status: status, Failure: &rotation.Failure{Step: rota.StepTest, Attempts: 2, Error: "refused", At: noon}}}
	if got := statusOf("s", failed, rotation.Policy{}, noon); !strings.HasPrefix(got.Reason, "test failed") || !strings.HasSuffix(got.Reason, "; "+want) || rota.Hint(got.Remedies) != "run" {
		t.Errorf("with a failure: %q, %v", got.Reason, got.Remedies)
	}
}
