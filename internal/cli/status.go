package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rota"
	"rota/store"
)

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status [NAME...]",
		Short: "How every secret stands",
		Long: `Shows how every secret stands, as the last look at it found: ok, due, late (due
for longer than the policy's late_after), held (due, but may not be done) or
failed. It reads rota.yaml and Rota's own store, and asks no other system; rota
plan does.`,
		ValidArgsFunction: a.completeNames,
		RunE:              func(c *cobra.Command, args []string) error { return a.status(c.Context(), args) },
	}
}

func (a *app) status(ctx context.Context, names []string) error {
	file, wanted, err := a.loadAndPick(names)
	if err != nil {
		return err
	}
	statuses, err := a.statuses(ctx)
	if err != nil {
		return err
	}
	now := a.Now()
	byName := map[string]store.SecretStatus{}
	for _, s := range statuses {
		byName[s.Name] = s
	}
	doc := statusDoc{At: now, Secrets: []statusSecretDoc{}, Unknown: unknownSecrets(file, statuses)}
	for _, name := range wanted {
		doc.Secrets = append(doc.Secrets, statusOf(name, byName[name], file.Policy(name), now))
	}
	if a.json() {
		return a.document(doc)
	}
	a.printStatus(doc)
	return nil
}

func (a *app) statuses(ctx context.Context) ([]store.SecretStatus, error) {
	db, err := a.peekStore(ctx)
	if err != nil || db == nil {
		return nil, err
	}
	defer func() { _ = db.Close() }()
	return db.Statuses(ctx)
}

func statusOf(name string, s store.SecretStatus, p rota.Policy, now time.Time) statusSecretDoc {
	st := s.Status
	doc := statusSecretDoc{
		Secret: name, Reason: st.Reason, Credential: st.Credential, Version: st.Version, IssuedAt: st.IssuedAt,
		Previous: st.PreviousID, PreviousInactive: st.PreviousOff, Next: st.Next, NextAt: st.DueAt, Hold: st.Hold,
		LookedAt: st.LookedAt, Worker: s.Holder,
	}
	if !st.IssuedAt.IsZero() {
		doc.AgeSeconds = int64(now.Sub(st.IssuedAt).Seconds())
	}
	since, late := rota.Lateness(st, p, now)
	switch {
	case st.LookedAt.IsZero():
		doc.State, doc.Reason = stateDue, "it was never looked at (try: rota run)"
	case s.Failure != nil:
		doc.State = stateFailed
		doc.Reason = fmt.Sprintf("%s failed (%d times, last %s): %s", s.Failure.Step, s.Failure.Attempts, at(s.Failure.At), s.Failure.Error)
	case late:
		doc.State = stateLate
		doc.Reason = "since " + at(since) + ": " + st.Reason
	case st.Hold != rota.NotHeld:
		doc.State = stateHeld
	case !st.DueAt.IsZero() && !st.DueAt.After(now):
		doc.State = stateDue
	default:
		doc.State = stateOK
	}
	return doc
}

var stateColors = map[secretState]color{
	stateOK: green, stateDue: plain, stateHeld: yellow, stateLate: red, stateFailed: red,
}

func (a *app) printStatus(doc statusDoc) {
	var rows [][]cell
	for _, s := range doc.Secrets {
		age := ""
		if !s.IssuedAt.IsZero() {
			age = rota.FormatDuration(max(doc.At.Sub(s.IssuedAt), 0).Truncate(time.Minute))
		}
		previous := s.Previous
		if s.PreviousInactive {
			previous += " (inactive)"
		}
		if s.Worker != "" {
			s.Reason = "somebody is at it now; " + s.Reason
		}
		row := cells(s.Secret, string(s.State), s.Credential, age, previous, string(s.Next), when(s.NextAt, doc.At), s.Reason)
		row[1].color = stateColors[s.State]
		rows = append(rows, row)
	}
	a.table([]string{"SECRET", "STATE", "CREDENTIAL", "AGE", "PREVIOUS", "NEXT", "WHEN", "WHY"}, rows)
	if len(doc.Unknown) > 0 {
		a.printf("")
		a.printf("remembered, but not in rota.yaml: %s", strings.Join(doc.Unknown, ", "))
	}
}
