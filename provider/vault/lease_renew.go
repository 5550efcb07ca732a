package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Renew implements [rota.Renewer]. Vault extends a lease from now on, for as long as it's
// asked to or by the role's default_ttl, and never beyond the role's max_ttl. It shortens
// one that would last longer.
func (l *Leases) Renew(ctx context.Context, r rota.RenewRequest) (time.Time, error) {
	op := "renew lease " + r.CredentialID
	asked := l.Connection.cfg.Now()
	left := r.Until.Sub(asked).Truncate(time.Second)
	if l.STS || left <= 0 {
		return time.Time{}, &rota.Error{System: l.Connection.system(), Connection: l.Connection.name, Op: op, Class: rota.ClassStop, Err: errors.New("it can't last any longer")}
	}
	increment := min(l.RenewFor, left)
	if r.Final {
		increment = left
	}
	got, err := l.extend(ctx, op, r.CredentialID, increment)
	if err == nil && got.duration > left {
		asked = l.Connection.cfg.Now()
		got, err = l.extend(ctx, op, r.CredentialID, left)
	}
	switch {
	case isEnded(err):
		return time.Time{}, &rota.Error{System: l.Connection.system(), Connection: l.Connection.name, Op: op, Class: rota.ClassStop,
			Err: fmt.Errorf("it has ended, or somebody revoked it: %w", rota.ErrNotFound)}
	case err != nil:
		return l.ends(ctx, op, r), err
	}
	return asked.Add(min(got.duration, left)), nil
}

// extend makes a lease last for an increment from now, or for the role's default_ttl if
// that's 0.
func (l *Leases) extend(ctx context.Context, op, id string, increment time.Duration) (lease, error) {
	body := map[string]any{FieldLeaseID: id}
	if increment > 0 {
		body["increment"] = int64(increment / time.Second)
	}
	r, err := l.Connection.do(ctx, call{op: op, method: http.MethodPost, path: "sys/leases/renew", body: body}, nil)
	return leaseOf(r), err
}

// ends is when a lease ends that couldn't be renewed, zero if that isn't known.
func (l *Leases) ends(ctx context.Context, op string, r rota.RenewRequest) time.Time {
	var found struct {
		TTL int64 `json:"ttl"` // seconds
	}
	asked := l.Connection.cfg.Now()
	_, err := l.Connection.do(ctx, call{op: op, method: http.MethodPost, path: "sys/leases/lookup", body: map[string]any{FieldLeaseID: r.CredentialID}}, &found)
	if err != nil || found.TTL <= 0 {
		return time.Time{}
	}
	if end := asked.Add(secondsOf(found.TTL)); end.Before(r.Until) {
		return end
	}
	return r.Until
}

// isEnded reports whether Vault's answer is that it has no such lease.
func isEnded(err error) bool {
	a, ok := errors.AsType[*provider.Answer](err)
	return ok && a.Status == http.StatusBadRequest && (strings.Contains(a.Message, "invalid lease") || strings.Contains(a.Message, "lease not found") || strings.Contains(a.Message, "lease expired"))
}
