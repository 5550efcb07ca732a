package cli

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rota"
	"rota/engine"
	"rota/store"
)

func (a *app) runCommand() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use:   "run",
		Short: "Do all that is due, once",
		Long: `Does all that is due, once: for cron, a timer or a pipeline. One failure never
stops the others. Secrets whose time has not come are not looked at, unless
rota.yaml was changed since. Exit code 1 if something failed, 3 if something is
due but held; a failure that waits to be tried again counts as held.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.run(c.Context(), all) },
	}
	c.Flags().BoolVar(&all, "all", false, "look at every secret, whether its time has come or not")
	return c
}

func (a *app) run(ctx context.Context, all bool) error {
	s, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	statuses, err := s.db.Statuses(ctx)
	if err != nil {
		return err
	}
	remembered, seen := map[string]store.SecretStatus{}, map[string]engine.Seen{}
	for _, st := range statuses {
		remembered[st.Name] = st
		seen[st.Name] = engine.Seen{LookedAt: st.Status.LookedAt, NextAt: st.NextAt}
	}
	o := engine.Options{Rotator: s.rotator, Secrets: s.wired.Secrets}
	if !all {
		configured, err := s.configuredSince(ctx)
		if err != nil {
			return err
		}
		o.Due = engine.Schedule(a.Now(), configured, seen)
	}
	outcomes := map[string]engine.Outcome{}
	for _, o := range engine.Run(ctx, o) {
		outcomes[o.Secret] = o
	}
	var list []worked
	notDue := 0
	var waiting []string // held or failed, and not due for a look
	for _, name := range s.file.Names() {
		o, wired := outcomes[name]
		switch {
		case !wired:
			list = append(list, worked{name: name, err: s.wired.Broken[name]})
		case o.Due:
			list = append(list, worked{name: name, result: o.Result, err: o.Err})
		default:
			notDue++
			r := remembered[name]
			if r.Status.Hold != rota.NotHeld || r.Failure != nil {
				waiting = append(waiting, name)
			}
		}
	}
	err = a.report(list, rota.None, notDue)
	if !a.json() {
		a.printf("%s looked at, %d not due yet", plural(len(list), "secret"), notDue)
		if len(waiting) > 0 {
			a.printf("of these still held or failed: %s (try: rota status)", strings.Join(waiting, ", "))
		}
	}
	if code := codeOf(err); len(waiting) > 0 && (err == nil || code == exitHeld) {
		return silently(worst(code, exitHeld))
	}
	return err
}

// configuration is the name in the audit under which a changed rota.yaml is
// noted. No secret can have it.
const configuration = "(configuration)"

// configuredSince is since when rota.yaml is as it is, as far as the runs of
// this store have seen. A file that was not seen yet is noted in the audit.
func (s *session) configuredSince(ctx context.Context) (time.Time, error) {
	path, err := filepath.Abs(s.file.Path)
	if err != nil {
		return time.Time{}, err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return time.Time{}, refused(err)
	}
	sum := fmt.Sprintf("sha256:%x", sha256.Sum256(content))
	last, err := s.db.Audit(ctx, store.AuditQuery{Secret: configuration, Newest: true, Limit: 50})
	if err != nil {
		return time.Time{}, err
	}
	for _, r := range last {
		if r.Entry.Object == path {
			if r.Entry.Detail == sum {
				return r.Entry.At, nil
			}
			break
		}
	}
	now := s.app.Now()
	return now, s.db.Record(ctx, rota.Entry{
		At: now, Actor: s.app.actor(), Secret: configuration, Step: "configure", Object: path, Outcome: rota.Succeeded, Detail: sum,
	})
}
