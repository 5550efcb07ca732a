package service

import (
	"context"
	"path/filepath"
	"time"

	"github.com/rota-dev/rota/api"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/engine"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/rotation"
)

// Run does everything that's due, once.
func (l *Local) Run(ctx context.Context, r api.RunRequest) (api.WorkDoc, error) {
	list, err := l.choose(ctx, access.Rotate, rotation.OpRun, r.Secrets)
	if err != nil {
		return api.WorkDoc{}, err
	}
	known, err := l.secretStates(ctx, &api.StatusDoc{})
	if err != nil {
		return api.WorkDoc{}, err
	}
	seen := map[string]engine.LastLook{}
	for name, s := range known {
		seen[name] = engine.LastLook{LookedAt: s.Status.LookedAt, NextAt: s.NextAt}
		if s.lifted() {
			seen[name] = engine.LastLook{}
		}
	}
	due := func(*rotation.Secret) bool { return true }
	if !r.All {
		configured, err := l.configuredSince(ctx)
		if err != nil {
			return api.WorkDoc{}, err
		}
		due = engine.Schedule(l.now(), configured, seen)
	}
	doc := api.WorkDoc{Secrets: []api.WorkSecretDoc{}}
	var these []chosen
	for _, c := range list {
		if c.err != nil || due(c.secret) {
			these = append(these, c)
			continue
		}
		doc.NotDue++
		if s := known[c.name]; s.Status.Hold != rotation.HoldNone || s.Status.Unfinished || s.Failure != nil {
			doc.Waiting = append(doc.Waiting, c.name)
		}
	}
	rotator := l.rotator()
	for _, w := range l.work(ctx, these, true, func(ctx context.Context, s *rotation.Secret) (rotation.Result, error) {
		return rotator.Advance(ctx, s, rotation.Options{})
	}) {
		doc.Secrets = append(doc.Secrets, w.doc(rota.StepNone))
	}
	return doc, nil
}

// Configuration is the name under which the audit records that the
// configuration changed or was reloaded. No secret can have this name.
const Configuration = "(configuration)"

// configuredSince is since when the configuration has been as it is, as far
// as runs of this store have seen. A new one is recorded in the audit.
func (l *Local) configuredSince(ctx context.Context) (time.Time, error) {
	path, err := filepath.Abs(l.File.Path)
	if err != nil {
		return time.Time{}, err
	}
	const op = rotation.OpConfigure
	sum := l.File.Sum()
	last, err := l.DB.Audit().Read(ctx, store.AuditQuery{Secret: Configuration, Newest: true, Limit: 50})
	if err != nil {
		return time.Time{}, err
	}
	for _, r := range last {
		if r.Entry.Object == path && r.Entry.Step == op {
			if r.Entry.Detail == sum {
				return r.Entry.At, nil
			}
			break
		}
	}
	entry := l.Caller.Entry(l.now(), op, Configuration, rotation.OutcomeSucceeded, sum)
	entry.Object = path
	return entry.At, l.DB.Audit().Record(ctx, entry)
}

// Alert notifies about every overdue secret.
func (l *Local) Alert(ctx context.Context) (api.AlertDoc, error) {
	list, err := l.choose(ctx, access.Rotate, rotation.OpAlert, nil)
	if err != nil {
		return api.AlertDoc{}, err
	}
	late := make([]bool, len(list))
	errs := readEach(ctx, list, func(ctx context.Context, i int, s *rotation.Secret) error {
		var err error
		late[i], err = l.rotator().Alert(ctx, s)
		return err
	})
	doc := api.AlertDoc{Late: []string{}, Errors: []api.AlertFailure{}, Secrets: len(list)}
	for i, c := range list {
		if late[i] {
			doc.Late = append(doc.Late, c.name)
		}
		if errs[i] != nil {
			failure := api.AlertFailure{Secret: c.name}
			failure.Error, _, failure.Remedies = DescribeIn(errs[i])
			doc.Errors = append(doc.Errors, failure)
		}
	}
	return doc, nil
}
