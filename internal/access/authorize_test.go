package access_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/rotation"
)

// auditLog is a recorder that may fail.
type auditLog struct {
	entries []rotation.Entry
	err     error
}

func (l *auditLog) Record(ctx context.Context, entries ...rotation.Entry) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	l.entries = append(l.entries, entries...)
	return l.err
}

func TestARefusalIsAuditedBeforeItIsReturned(t *testing.T) {
	caller := access.Caller{Principal: "app/orders", From: "192.0.2.7", Rules: []access.Rule{{Action: access.Read, Pattern: "prod/*"}}}
	attempt := access.Attempt{Action: access.Read, Op: "get", At: time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)}
	refused := func(secret string) rotation.Entry {
		return rotation.Entry{At: attempt.At, Actor: "app/orders", From: "192.0.2.7", Secret: secret, Step: "get", Outcome: rotation.OutcomeDenied}
	}
	for _, test := range []struct {
		name    string
		secrets []string
		want    []rotation.Entry
	}{
		{"what the caller may do", []string{"prod/a", "prod/b"}, nil},
		{"one of several", []string{"prod/a", "test/a"}, []rotation.Entry{refused("test/a")}},
		{"all of them", []string{"test/a", "test/b"}, []rotation.Entry{refused("test/a"), refused("test/b")}},
		{"Rota itself", []string{""}, []rotation.Entry{refused("")}},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // a caller that hangs up doesn't keep a refusal out of the audit
			log := &auditLog{}
			err := access.Authorize(ctx, caller, log, attempt, test.secrets...)
			if errors.Is(err, access.ErrDenied) != (test.want != nil) {
				t.Errorf("error %v", err)
			}
			if diff := cmp.Diff(test.want, log.entries); diff != "" {
				t.Errorf("entries (-want +got):\n%s", diff)
			}
		})
	}
	full := errors.New("disk full")
	err := access.Authorize(t.Context(), caller, &auditLog{err: full}, attempt, "test/a")
	if !errors.Is(err, access.ErrDenied) || !errors.Is(err, access.ErrUnrecorded) || !errors.Is(err, full) {
		t.Errorf("error %v, want both the refusal and the failure", err)
	}
	if err := access.Authorize(t.Context(), caller, nil, attempt, "test/a"); !errors.Is(err, access.ErrDenied) {
		t.Errorf("without an audit: %v", err)
	}
}
