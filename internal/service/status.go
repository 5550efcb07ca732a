package service

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rota-dev/rota/api"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/rotation"
)

// Status tells how secrets stand. It asks no system but the store.
func (l *Local) Status(ctx context.Context, r api.StatusRequest) (api.StatusDoc, error) {
	if err := l.authorize(ctx, access.List, "status", r.Names...); err != nil {
		return api.StatusDoc{}, err
	}
	wanted, err := l.pick(r.Names)
	if err != nil {
		return api.StatusDoc{}, err
	}
	doc := api.StatusDoc{At: l.now(), Secrets: []api.StatusSecretDoc{}}
	known, err := l.standings(ctx, &doc)
	if err != nil {
		return api.StatusDoc{}, err
	}
	wanted, doc.Next = page(wanted, r.After, r.Limit)
	for _, name := range wanted {
		one := statusOf(name, known[name], l.File.Policy(name), doc.At)
		if l.Wired != nil && l.Wired.Broken[name] != nil {
			one.State, one.Reason = api.StateFailed, "it can't be worked: "+l.Wired.Broken[name].Error()
		}
		doc.Secrets = append(doc.Secrets, one)
	}
	return doc, nil
}

// standings reads the store, by secret's name, and notes in the document what
// concerns all.
func (l *Local) standings(ctx context.Context, doc *api.StatusDoc) (map[string]standing, error) {
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
	doc.Unknown = l.unknown(statuses)
	out := make(map[string]standing, len(statuses))
	for _, s := range statuses {
		one := standing{SecretStatus: s, frozen: frozen != nil}
		if h, ok := paused[s.Name]; ok {
			one.paused = &h
		}
		out[s.Name] = one
	}
	return out, nil
}

// page cuts one page out of all names, and says what After of the next one is.
// Pages go by name; all at once goes by the configuration's order.
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

// unknown are those that the store remembers and the configuration does not
// name.
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

// standing is what is known of one secret besides its configuration.
type standing struct {
	store.SecretStatus
	paused *rotation.Halt // nil: it is not
	frozen bool
}

func statusOf(name string, s standing, p rotation.Policy, now time.Time) api.StatusSecretDoc {
	st := s.Status
	doc := api.StatusSecretDoc{
		Secret: name, Reason: st.Reason, Remedies: st.Remedies, Credential: st.Credential, Version: st.Version, IssuedAt: st.IssuedAt, ExpiresAt: st.ExpiresAt,
		Previous: st.PreviousID, PreviousInactive: st.PreviousOff, Next: st.Next, NextAt: st.DueAt, Hold: st.Hold,
		LookedAt: st.LookedAt, BegunAt: st.BegunAt, Worker: s.Holder,
	}
	if !st.IssuedAt.IsZero() {
		doc.AgeSeconds = int64(now.Sub(st.IssuedAt).Seconds())
	}
	doc.State, doc.Reason = s.state(p, now)
	if s.lifted() || !st.BegunAt.IsZero() && s.Holder == "" {
		doc.Remedies = nil // they are of the last look, which no longer counts
	}
	if !st.BegunAt.IsZero() && s.Holder == "" {
		doc.Reason = stoppedReason(st.BegunAt, s.Failure, doc.Reason)
	}
	if s.paused != nil {
		doc.Paused = DescribeHalt(*s.paused)
		if doc.State == api.StateLate {
			doc.Reason += "; paused " + doc.Paused
		}
	}
	return doc
}

// StateOf sums up how a secret stands, as [Local.Status] does.
func StateOf(s store.Standing, frozen bool, p rotation.Policy, now time.Time) api.SecretState {
	state, _ := standing{SecretStatus: s.SecretStatus, paused: s.Paused, frozen: frozen}.state(p, now)
	return state
}

// state sums up, with the reason. What a person has to act on goes first.
func (s standing) state(p rotation.Policy, now time.Time) (api.SecretState, string) {
	st := s.Status
	since, late := rotation.Lateness(st, p, now)
	stopped := !st.BegunAt.IsZero() && s.Holder == ""
	switch {
	case s.lifted():
		return api.StateDue, "it was resumed and not looked at since (try: rota run)"
	case st.Hold == rotation.HoldQuarantined:
		return api.StateQuarantined, st.Reason
	case s.Failure != nil:
		return api.StateFailed, fmt.Sprintf("%s failed (%d times, last %s): %s", s.Failure.Step, s.Failure.Attempts, moment(s.Failure.At), s.Failure.Error)
	case late && !since.IsZero():
		return api.StateLate, "since " + moment(since) + ": " + st.Reason
	case s.paused != nil:
		return api.StatePaused, DescribeHalt(*s.paused)
	case st.LookedAt.IsZero() && !stopped:
		return api.StateDue, "it was never looked at (try: rota run)"
	case stopped:
		return api.StateDue, st.Reason
	case st.Hold != rotation.HoldNone:
		return api.StateHeld, st.Reason
	case !st.DueAt.IsZero() && !st.DueAt.After(now):
		return api.StateDue, st.Reason
	default:
		return api.StateOK, st.Reason
	}
}

// lifted tells whether the last look found a hold that a person has lifted
// since.
func (s standing) lifted() bool {
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

// stoppedReason tells of a turn whose worker was stopped in the middle.
func stoppedReason(begun time.Time, failure *rotation.Failure, reason string) string {
	stopped := "what was begun at " + moment(begun) + " never came to its end (try: rota run)"
	if failure != nil {
		return reason + "; " + stopped
	}
	return stopped
}

// DescribeHalt says by whom, since when and why something is held back.
func DescribeHalt(h rotation.Halt) string {
	text := "by " + h.By + " since " + moment(h.At)
	if h.Why != "" {
		text += ": " + h.Why
	}
	return text
}

// moment is a time on this machine's clock.
func moment(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }
