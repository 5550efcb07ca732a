package rotation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rota-dev/rota"
)

// renew extends the life of a credential in use. It needs nothing but the issuer's name
// for it, and is repeated after a crash.
func (t *turn) renew(ctx context.Context, d Decision) error {
	renewer, ok := t.s.Issuer.(rota.Renewer)
	if !ok {
		return &rota.Error{Op: "renew " + d.Credential, Class: rota.ClassStop, Err: errors.New("the issuer can't renew credentials")}
	}
	if err := t.ledger.writeAhead(ctx, d); err != nil {
		return err
	}
	v := t.view()
	version, _ := t.seen.version(d.Version)
	meant, _ := v.meantToEnd(version)
	request := rota.RenewRequest{CredentialID: d.Credential, Until: meant, Final: version.ID == v.previous.ID && v.isPending(v.pending.ID) && v.tested(v.Progress.Versions[v.pending.ID])}
	var at, until time.Time
	err := t.outside.retry(ctx, 3, "issuer.renew", d.Credential, func(ctx context.Context) (err error) {
		at = t.Now()
		until, err = renewer.Renew(ctx, request)
		return err
	})
	if err != nil {
		err = fmt.Errorf("renew %s: %w", d.Credential, err)
		t.ledger.noteOutcome(d, "", err)
		if !until.IsZero() {
			t.ledger.update(d.Version, func(vp *VersionProgress) { vp.Renewed = vp.Renewed.ending(at, until) })
		}
		return err
	}
	t.ledger.landed(d, "")
	r := t.ledger.version(d.Version).Renewed.extended(at, until, meant)
	r.Final = request.Final
	detail := "it lasts until " + stamp(until)
	if r.Last {
		detail += ", and the issuer doesn't extend it any further"
	}
	t.ledger.enter(d, "", OutcomeSucceeded, detail)
	t.ledger.update(d.Version, func(vp *VersionProgress) { vp.Renewed = r })
	return nil
}

// extended is what's known after a renewal. If it's short of what the one before
// brought, although there's more to come until the credential is meant to end, the
// issuer has a limit, and the credential's end is real.
func (r Renewed) extended(at, until, meant time.Time) Renewed {
	before := r.Until.Sub(r.At)
	short := !r.Until.IsZero() && until.Sub(at)*4 < before*3
	return Renewed{At: at, Until: until, Last: short && until.Before(meant.Add(-renewSlack))}
}

// ending is what's known after a renewal that failed, if the issuer says when the
// credential ends.
func (r Renewed) ending(at, until time.Time) Renewed {
	if r.Until.IsZero() {
		r.At = at
	}
	r.Until = until
	return r
}

// failsToRenew reports whether a renewal has failed that's to be tried again.
func (p Progress) failsToRenew() bool {
	for _, vp := range p.Versions {
		if r := vp.Renewed; r.Attempts > 0 && !r.Last {
			return true
		}
	}
	return false
}

// notRenewed notes that a renewal failed, and passes the error on. It isn't the failure
// of a rotation's step: that's counted and retried apart from it.
func (t *turn) notRenewed(d Decision, err error) error {
	if errors.Is(err, rota.ErrFenced) || errors.Is(err, context.Canceled) {
		return err
	}
	err = concerning(err, t.s.Name)
	clean := t.ledger.clean(err)
	now := t.Now()
	t.ledger.update(d.Version, func(vp *VersionProgress) {
		r := &vp.Renewed
		r.Attempts++
		r.Error, r.Remedies = rota.OneLine(clean.Error()), rota.RemediesOf(clean)
		r.RetryAt = r.retryRenewal(now, rota.ClassOf(err))
		if errors.Is(err, rota.ErrNotFound) {
			r.Last = true
			if r.At = earlier(r.At, now); r.Until.IsZero() || now.Before(r.Until) {
				r.Until = now
			}
		}
	})
	if r := t.ledger.version(d.Version).Renewed; r.Attempts == 1 || r.Last {
		t.ledger.event(rota.EventFailed, d.Version, d.Credential, "renew failed: "+r.Error, r.Remedies...)
	}
	return err
}
