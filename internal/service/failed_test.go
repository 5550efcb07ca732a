package service

import (
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

func TestHowOftenAStepFailedIsGrammatical(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.Local)
	for attempts, want := range map[int]string{
		1: "create failed (once at 2026-03-01 12:00): denied",
		2: "create failed (2 times, last at 2026-03-01 12:00): denied",
	} {
		f := &rotation.Failure{Step: rota.StepCreate, Attempts: attempts, At: at, Error: "denied"}
		if got := failedSince(f); got != want {
			t.Errorf("%d attempts: %q, want %q", attempts, got, want)
		}
	}
}
