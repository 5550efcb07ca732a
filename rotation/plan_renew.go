package rotation

import (
	"time"

	"github.com/rota-dev/rota"
)

// A credential that ends soon unless it's renewed is kept alive as long as consumers may
// have it: until it's meant to end, or until it's retired. Whatever else there is to do,
// or is held, must not keep Rota from that. So renewing isn't one of the chain's rules,
// but a guard, which puts a renewal that's due before anything that was decided. If it
// fails, everything else goes on until the next try.

// partUsed is the part of what was left of a credential's life at its last renewal that
// has passed when the next one is due: two more parts are left for retries.
const partUsed = 3

// renewSlack is how much earlier than meant a credential can end without being renewed
// for that: issuers count in seconds, from a request that took a while.
const renewSlack = time.Minute

// guardRenew renews a credential in use in time, and retries that in time. While a
// renewal fails, nothing that only needs time is shown instead.
func guardRenew(v *view, d Decision) (Decision, bool) {
	if !v.Traits.Renewable || v.keptAlive {
		return Decision{}, false
	}
	if v.displaces(d) {
		return v.do(rota.StepRenew, v.previous, v.now, "the store drops %s when the new one is promoted, and consumers may have it until it's meant to end", v.previous.CredentialID)
	}
	version, due := v.nextRenewal()
	if due.IsZero() || d.Step == rota.StepDelete && d.Version == version.ID {
		return Decision{}, false
	}
	r := v.Progress.Versions[version.ID].Renewed
	retry := maxTime(due, r.RetryAt)
	switch {
	case !v.now.Before(retry) && r.Until.IsZero():
		return v.do(rota.StepRenew, version, due, "%s ends soon unless it's renewed", version.CredentialID)
	case !v.now.Before(retry):
		return v.do(rota.StepRenew, version, due, "%s ends at %s unless it's renewed", version.CredentialID, stamp(r.Until))
	case d.Step != rota.StepNone:
		return Decision{}, false
	}
	if at := d.At; at.IsZero() || retry.Before(at) {
		d.At = retry
	}
	if held, fails := v.renewalFails(d.At); fails && d.Hold == HoldNone {
		return held, true
	}
	return d, true
}

// displaces reports whether a step takes the previous version's label, after which nobody
// renews its credential, although that's meant to last longer. It's tried once.
func (v *view) displaces(d Decision) bool {
	r := v.Progress.Versions[v.previous.ID].Renewed
	_, needed := v.renewalOf(v.previous)
	promotes := d.Step == rota.StepPromote && v.isPending(d.Version)
	return promotes && needed && !r.Final && r.Attempts == 0
}

// isPending reports whether a version is on its way to be current.
func (v *view) isPending(version string) bool {
	return v.hasPending && version == v.pending.ID && !v.pending.Has(rota.LabelCurrent)
}

// NextRenewal returns when a credential in use is renewed next, so that it doesn't end
// before, or false if none has to be. Projections leave renewals out.
func NextRenewal(st State, p Policy, now time.Time) (Planned, bool) {
	v := newView(st, p, now)
	version, due := v.nextRenewal()
	if due.IsZero() {
		return Planned{}, false
	}
	r := v.Progress.Versions[version.ID].Renewed
	at := maxTime(now, maxTime(due, r.RetryAt))
	d, _ := v.do(rota.StepRenew, version, due, "it ends soon unless it's renewed, time and again as long as it's in use")
	if !r.Until.IsZero() {
		d.Reason = "it ends at " + stamp(r.Until) + " unless it's renewed, time and again as long as it's in use"
	}
	return Planned{At: at, Decision: d}, true
}

// renewalFails holds while a renewal that failed waits for the next try.
func (v *view) renewalFails(at time.Time) (Decision, bool) {
	for _, version := range v.alive() {
		r := v.Progress.Versions[version.ID].Renewed
		if due, needed := v.renewalOf(version); needed && r.Attempts > 0 {
			return v.hold(HoldRetrying, rota.StepRenew, due, at, r.Remedies, "renew failed (%d times) and will be retried at %s: %s", r.Attempts, stamp(maxTime(due, r.RetryAt)), r.Error)
		}
	}
	return Decision{}, false
}

// alive are the versions whose credentials are kept alive.
func (v *view) alive() []rota.Version {
	if v.unseen {
		return v.Contents.Versions
	}
	return []rota.Version{v.current, v.pending, v.previous}
}

// nextRenewal returns the version whose credential is renewed next, and since when that's
// due, zero if none is.
func (v *view) nextRenewal() (next rota.Version, due time.Time) {
	var first time.Time // with regard to retries
	for _, version := range v.alive() {
		at, needed := v.renewalOf(version)
		if !needed {
			continue
		}
		if try := maxTime(at, v.Progress.Versions[version.ID].Renewed.RetryAt); first.IsZero() || try.Before(first) {
			next, due, first = version, at, try
		}
	}
	return next, due
}

// renewalOf returns when a version's credential has to be renewed, or false if it
// doesn't: it isn't Rota's, it's retired or about to be, or it can't be extended any
// further.
func (v *view) renewalOf(version rota.Version) (due time.Time, needed bool) {
	end, expires := v.meantToEnd(version)
	vp := v.Progress.Versions[version.ID]
	r := vp.Renewed
	ends := v.Force == rota.StepDelete && version.ID == v.previous.ID
	switch {
	case !v.Traits.Renewable || !expires || !version.Ours() || version.CredentialID == "" || version.CredentialID == rota.NoCredential:
		return time.Time{}, false
	case vp.Rejected != "" || !vp.DeactivatedAt.IsZero() || ends || r.Last || !v.now.Before(end):
		return time.Time{}, false
	case r.Until.IsZero():
		return maxTime(version.CreatedAt, vp.PromotedAt), true
	case !r.Until.Before(end.Add(-renewSlack)):
		return time.Time{}, false
	}
	return r.At.Add(r.Until.Sub(r.At) / partUsed), true
}

// cutShort returns when a version's credential ends if that's sooner than it's meant to:
// the issuer doesn't extend it any further, or hasn't for so long that its successor
// can't wait for that. Otherwise it returns false.
func (v *view) cutShort(version rota.Version) (end time.Time, cut bool) {
	meant, _ := v.meantToEnd(version)
	r := v.Progress.Versions[version.ID].Renewed
	if !v.Traits.Renewable || r.Until.IsZero() || !r.Until.Before(meant.Add(-renewSlack)) {
		return time.Time{}, false
	}
	fails := !v.keptAlive && !v.now.Before(r.Until.Add(-r.Until.Sub(r.At)/partUsed))
	return r.Until, r.Last || fails
}

// retryRenewal is when a renewal that failed at a time is tried again: with backoff, but
// after a quarter of what's left at the latest.
func (r Renewed) retryRenewal(failed time.Time, class rota.Class) time.Time {
	wait := failureBackoff(class, r.Attempts)
	if left := r.Until.Sub(failed); left > 0 {
		return failed.Add(min(wait, max(left/4, 10*time.Second)))
	}
	return failed.Add(min(wait, 10*time.Minute)) // nobody knows whether it has ended
}
