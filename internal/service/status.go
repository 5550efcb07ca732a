package service

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rota-dev/rota/api"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/rotation"
)

// Status returns the state of secrets. It asks only the store.
func (l *Local) Status(ctx context.Context, r api.StatusRequest) (api.StatusDoc, error) {
	if err := l.authorize(ctx, access.List, rotation.OpStatus, r.Names...); err != nil {
		return api.StatusDoc{}, err
	}
	wanted, err := l.resolveNames(r.Names)
	if err != nil {
		return api.StatusDoc{}, err
	}
	doc := api.StatusDoc{At: l.now(), Secrets: []api.StatusSecretDoc{}}
	known, err := l.secretStates(ctx, &doc)
	if err != nil {
		return api.StatusDoc{}, err
	}
	if doc.Refused = l.Refused; doc.Refused != nil && !l.Caller.Allows(access.List, "") {
		// What's wrong with it may name secrets that the caller can't see.
		doc.Refused = &api.RefusedDoc{Since: l.Refused.Since, Error: "the log says why"}
	}
	wanted, doc.Next = page(wanted, r.After, r.Limit)
	broken, owners := l.unresolved(), l.File.Owners()
	for _, name := range wanted {
		one := statusOf(name, known[name], l.File.Policy(name), doc.At)
		one.Owner = owners[name]
		if l.Wired != nil && l.Wired.Broken[name] != nil {
			one.State = api.StateFailed
			one.Reason, _, one.Remedies = DescribeIn(l.Wired.Broken[name])
			one.Reason = "it can't be worked on: " + one.Reason
		}
		if err := broken[name]; err != nil && one.LookedAt.IsZero() && one.BegunAt.IsZero() {
			one.State, one.Reason = api.StateFailed, "it has never been looked at, and can't be worked on from here: "+err.Error()
			one.Remedies = rota.RemediesOf(err)
		}
		doc.Secrets = append(doc.Secrets, one)
	}
	return doc, nil
}

// unresolved says for each secret which of its references have no value here. If
// the secrets are wired, that knows better.
func (l *Local) unresolved() map[string]error {
	if l.Wired != nil || l.Environment == nil {
		return nil
	}
	return l.File.Unresolved(*l.Environment)
}

// secretStates reads the store, by secret name, and adds what applies to all
// secrets to the document.
func (l *Local) secretStates(ctx context.Context, doc *api.StatusDoc) (map[string]secretState, error) {
	doc.Unknown = []string{}
	if l.DB == nil {
		return nil, nil
	}
	statuses, err := l.DB.Overview().Statuses(ctx)
	if err != nil {
		return nil, err
	}
	paused, err := l.DB.Queue().Paused(ctx)
	if err != nil {
		return nil, err
	}
	frozen, err := l.DB.Queue().Frozen(ctx)
	if err != nil {
		return nil, err
	}
	if frozen != nil {
		doc.Frozen = DescribeHalt(*frozen)
	}
	held, err := l.DB.Holders().Counts(ctx)
	if err != nil {
		return nil, err
	}
	doc.Unknown = l.unknown(statuses)
	out := make(map[string]secretState, len(statuses))
	for _, s := range statuses {
		one := secretState{SecretStatus: s, frozen: frozen != nil, held: held[s.Name]}
		if h, ok := paused[s.Name]; ok {
			one.paused = &h
		}
		out[s.Name] = one
	}
	return out, nil
}

// page returns one page of all names, and After for the next one. Pages are
// sorted by name; a full list is in the order of the configuration.
func page(names []string, after string, limit int) (these []string, next string) {
	if after == "" && limit <= 0 {
		return names, ""
	}
	names = slices.Sorted(slices.Values(names))
	from, found := slices.BinarySearch(names, after)
	if found {
		from++
	}
	names = names[from:]
	if limit <= 0 || len(names) <= limit {
		return names, ""
	}
	return names[:limit], names[limit-1]
}

// unknown are the secrets the store has but the configuration doesn't.
func (l *Local) unknown(statuses []store.SecretStatus) []string {
	out := []string{}
	configured := map[string]bool{}
	for _, name := range l.File.Names() {
		configured[name] = true
	}
	for _, s := range statuses {
		if !configured[s.Name] && l.Caller.Allows(access.List, s.Name) {
			out = append(out, s.Name)
		}
	}
	return out
}

// secretState is what's known about one secret besides its configuration.
type secretState struct {
	store.SecretStatus
	paused *rotation.Halt // nil: it isn't
	frozen bool
	held   map[string]int // by version, how many instances report it
}

func statusOf(name string, s secretState, p rotation.Policy, now time.Time) api.StatusSecretDoc {
	s.Name = name
	st := s.Status
	doc := api.StatusSecretDoc{
		Secret: name, Credential: st.Credential, Version: st.Version, IssuedAt: st.IssuedAt, ExpiresAt: st.ExpiresAt, RenewAt: st.RenewAt,
		Previous: st.PreviousID, PreviousInactive: st.PreviousOff, Next: st.Next, NextAt: st.DueAt, Hold: st.Hold,
		LookedAt: st.LookedAt, BegunAt: st.BegunAt, Worker: s.Holder,
	}
	if !st.IssuedAt.IsZero() {
		doc.AgeSeconds = int64(now.Sub(st.IssuedAt).Seconds())
	}
	for version, n := range s.held {
		doc.Instances += n
		if version != st.Version {
			doc.Older += n
		}
	}
	doc.State, doc.Reason, doc.Remedies = s.state(p, now)
	if !st.BegunAt.IsZero() && s.Holder == "" { // its worker was stopped midway
		stopped := "work started at " + localTime(st.BegunAt) + " never finished"
		if s.Failure != nil {
			stopped = doc.Reason + "; " + stopped
		}
		doc.Reason, doc.Remedies = stopped, lookAgain
	}
	if s.paused != nil {
		doc.Paused = DescribeHalt(*s.paused)
		if doc.State == api.StateLate {
			doc.Reason += "; paused " + doc.Paused
		}
	}
	return doc
}

// StateOf sums up a secret's state, as [Local.Status] does.
func StateOf(s store.EnrolledSecret, frozen bool, p rotation.Policy, now time.Time) api.SecretState {
	state, _, _ := secretState{SecretStatus: s.SecretStatus, paused: s.Paused, frozen: frozen}.state(p, now)
	return state
}

// state sums up a secret, with the reason. What a person has to act on comes first.
func (s secretState) state(p rotation.Policy, now time.Time) (api.SecretState, string, []rota.Remedy) {
	st := s.Status
	since, late := rotation.Lateness(st, p, now)
	stopped := !st.BegunAt.IsZero() && s.Holder == ""
	switch {
	case s.lifted():
		return api.StateDue, "it was resumed and hasn't been looked at since", lookAgain
	case st.Hold == rotation.HoldQuarantined:
		return api.StateQuarantined, st.Reason, st.Remedies
	case s.Failure != nil:
		return api.StateFailed, failedSince(s.Failure), s.Failure.Remedies
	case late && !since.IsZero():
		return api.StateLate, "since " + localTime(since) + ": " + st.Reason, st.Remedies
	case s.paused != nil:
		return api.StatePaused, DescribeHalt(*s.paused), []rota.Remedy{{Action: rota.RemedyResume, Secret: s.Name}}
	case st.LookedAt.IsZero() && !stopped:
		return api.StateDue, "it has never been looked at", lookAgain
	case stopped:
		return api.StateDue, st.Reason, st.Remedies
	case st.Hold != rotation.HoldNone:
		return api.StateHeld, st.Reason, st.Remedies
	case !st.DueAt.IsZero() && !st.DueAt.After(now):
		return api.StateDue, st.Reason, st.Remedies
	default:
		return api.StateOK, st.Reason, st.Remedies
	}
}

// lifted reports whether the last look found a hold that a person has
// lifted since.
func (s secretState) lifted() bool {
	switch s.Status.Hold {
	case rotation.HoldQuarantined:
		return s.NextAt.IsZero() && s.Status.BegunAt.IsZero()
	case rotation.HoldPaused:
		return s.paused == nil
	case rotation.HoldFrozen:
		return !s.frozen
	}
	return false
}

// DescribeHalt says who holds something back, since when and why.
func DescribeHalt(h rotation.Halt) string {
	text := "by " + h.By + " since " + localTime(h.At)
	if h.Why != "" {
		text += ": " + h.Why
	}
	return text
}

// localTime is a time in this machine's time zone.
func localTime(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }

// lookAgain is the remedy for a secret that only waits to be looked at.
var lookAgain = []rota.Remedy{{Action: rota.RemedyRun}}

// failedSince says which step fails, how often and with what.
func failedSince(f *rotation.Failure) string {
	times := "once"
	if f.Attempts > 1 {
		times = fmt.Sprintf("%d times, last", f.Attempts)
	}
	next := ""
	if !f.RetryAt.IsZero() {
		next = "; next attempt at " + localTime(f.RetryAt)
	}
	return fmt.Sprintf("%s failed (%s at %s): %s%s", f.Step, times, localTime(f.At), f.Error, next)
}
