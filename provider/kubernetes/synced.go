package kubernetes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rota-dev/rota"
)

// synced is delivered once what keeps the Secret in sync, such as External Secrets, has
// written the version into it. A restart before that would bring back the old value, and
// pods that have it would look new.
func (r *Restart) synced(ctx context.Context, req rota.ReloadRequest) (delivered, error) {
	for last := (delivered{}); ; {
		d, err := r.delivered(ctx, req)
		switch {
		case err != nil && (ctx.Err() == nil || last.at.IsZero()), err == nil && !r.lags(d, req.From):
			return d, err
		case err == nil:
			last = d
			err = rota.Sleep(ctx, cmp.Or(r.Poll, defaultPoll))
		}
		if err == nil {
			continue
		}
		e := &rota.Error{System: r.Connection.System(), Connection: r.Connection.name, Op: "reload Secret " + r.Namespace + "/" + r.Secret, Class: rota.ClassWait, Err: ctx.Err()}
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			e.Err = fmt.Errorf("it %s: %w", last.lagging(), ctx.Err())
			e.Remedies = rota.Outside(r.syncHint())
		}
		return d, e
	}
}

// lags reports whether a Secret that others write hasn't been written since a version was
// made. Rota's own are written by the time that they're reloaded.
func (r *Restart) lags(d delivered, from time.Time) bool {
	if from.IsZero() || r.Secret == "" || r.NoWait || d.secret.isRotas() {
		return false
	}
	made, _ := r.Connection.clock.There(from)
	return d.at.Before(made.Add(-skew))
}

// isRotas reports whether Rota writes the Secret. The label alone could be anybody's.
func (s secret) isRotas() bool {
	return s.Metadata.Labels[labelManaged] == "true" && len(s.ours()) > 0
}

// lagging says what's missing, for people.
func (d delivered) lagging() string {
	return "hasn't been written since the version was made: its last write was " + d.at.UTC().Format("2006-01-02 15:04:05 UTC")
}

func (r *Restart) syncHint() string {
	return "see what keeps Secret " + r.Secret + " in sync, or have it do so now: kubectl annotate externalsecret NAME -n " + r.Namespace +
		" force-sync=$(date +%s) --overwrite; if nothing that Rota rotates gets there, set no_wait: true"
}
