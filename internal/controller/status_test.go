package controller

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/rotation"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestConditionsSayWhetherConsumersHaveAGoodCredential(t *testing.T) {
	begun := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name                   string
		doc                    api.StatusSecretDoc
		wrong                  string
		ready, rotating, holds string
		state                  string
	}{
		{"nothing is known yet", api.StatusSecretDoc{}, "", "False Pending", "False Idle", "False None", "Pending"},
		{"it waits for its next rotation", api.StatusSecretDoc{State: api.StateOK, Version: "v", Next: rota.StepCreate}, "", "True InUse", "False Idle", "False None", "Ready"},
		{"its next rotation has begun", api.StatusSecretDoc{State: api.StateDue, Version: "v", Next: rota.StepCreate, BegunAt: begun}, "", "True InUse", "True Create", "False None", "Rotating"},
		{"the new one is tested, and the old one in use", api.StatusSecretDoc{State: api.StateDue, Version: "v", Next: rota.StepTest}, "", "True InUse", "True Test", "False None", "Rotating"},
		{"the new one isn't delivered yet", api.StatusSecretDoc{State: api.StateDue, Version: "w", Next: rota.StepDeliver}, "", "False Deliver", "True Deliver", "False None", "Rotating"},
		{"a reload fails", api.StatusSecretDoc{State: api.StateFailed, Version: "w", Next: rota.StepReload}, "", "False Reload", "True Reload", "False None", "Failed"},
		{"the first one can't be created", api.StatusSecretDoc{State: api.StateFailed, Next: rota.StepCreate}, "", "False Failed", "False Idle", "False None", "Failed"},
		{"the previous one is still in use", api.StatusSecretDoc{State: api.StateHeld, Version: "v", Next: rota.StepDeactivate, Hold: rotation.HoldInUse}, "", "True InUse", "False Idle", "True PreviousInUse", "Held"},
		{"the current one isn't in force", api.StatusSecretDoc{State: api.StateHeld, Version: "v", Next: rota.StepCreate, Hold: rotation.HoldDrifted}, "", "False CurrentNotInForce", "False Idle", "True CurrentNotInForce", "Held"},
		{"it was never issued", api.StatusSecretDoc{State: api.StateHeld, Next: rota.StepCreate, Hold: rotation.HoldNeverIssued}, "", "False NeverIssued", "False Idle", "True NeverIssued", "Held"},
		{"somebody paused it", api.StatusSecretDoc{State: api.StatePaused, Version: "v", Next: rota.StepCreate, Paused: "by ops"}, "", "True InUse", "False Idle", "True Paused", "Paused"},
		{"its spec is invalid", api.StatusSecretDoc{State: api.StateOK, Version: "v", Next: rota.StepCreate}, "spec: wrong", "False Invalid", "False Idle", "False None", "Invalid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := map[string]any{}
			got := map[string]string{}
			for _, v := range secretStatus(out, c.doc, c.wrong) {
				got[v.kind] = map[bool]string{true: "True ", false: "False "}[v.is] + v.reason
			}
			if got["Ready"] != c.ready || got["Rotating"] != c.rotating || got["Held"] != c.holds || out["state"] != c.state {
				t.Errorf("got %v, state %v", got, out["state"])
			}
		})
	}
}

func TestAnAnswerWithoutAReasonIsAnAnswer(t *testing.T) {
	large := &apierrors.StatusError{ErrStatus: metav1.Status{Code: 500, Message: "etcdserver: request is too large"}}
	if !isStatus(fmt.Errorf("update: %w", large)) || isStatus(errors.New("connection refused")) {
		t.Error("one resource that's too large would keep the others from being reported")
	}
}
