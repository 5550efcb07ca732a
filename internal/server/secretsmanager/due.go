package secretsmanager

import (
	"context"
	"errors"
	"fmt"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/store/record"
	"github.com/rota-dev/rota/rotation"
)

// RotateDue starts rotations that are due by their schedules or were
// interrupted, and removes the secrets whose recovery window is over. It
// doesn't wait for the rotations. The daemon calls it every minute or so;
// concurrent calls are safe.
func (s *Server) RotateDue(ctx context.Context) error {
	g := s.opts.Records(access.Local("rota"))
	names, err := g.Due(ctx, maxPage)
	if err != nil {
		return fmt.Errorf("secrets that are due: %w", err)
	}
	var errs []error
	for _, name := range names {
		if err := s.startDue(ctx, g, name); err != nil && !errors.Is(err, errNotDue) {
			errs = append(errs, fmt.Errorf("secret %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// errNotDue ends a change that someone else has made in the meantime.
var errNotDue = errors.New("not due")

func (s *Server) startDue(ctx context.Context, g *record.Guarded, name string) error {
	if s.isManaged(name) {
		return s.cancelManaged(ctx, g, name)
	}
	if _, err := g.View(ctx, name); errors.Is(err, record.ErrNotFound) {
		act := record.Operation{Action: access.Remove, Op: rotation.OpRemove, Detail: "the recovery window is over"}
		return g.Update(ctx, name, act, func(c *record.Change) error {
			if c.Exists {
				return errNotDue
			}
			c.Remove = true
			return nil
		})
	}
	token := s.newUUID()
	var j job
	var refused string
	err := g.Update(ctx, name, record.Operation{Action: access.Rotate, Op: rotation.OpRotate, Detail: "due"}, func(c *record.Change) error {
		if !c.Exists || c.Rotation.NextAt.IsZero() || c.Rotation.NextAt.After(c.Now) || !c.DeleteAt.IsZero() {
			return errNotDue
		}
		j, refused = job{}, ""
		former, incomplete := s.underway(c.Record)
		switch p := pending(&c.Record); {
		case c.Rotation.Underway.Rehearsal:
			endRehearsal(c)
			refused = "the test of its rotation function was interrupted"
		case s.opts.Functions[c.Rotation.FunctionARN] == "":
			c.Rotation.NextAt = c.Now.Add(retryAfter)
			refused = "its rotation function is not in the configuration"
		case incomplete:
			j = former
			c.Rotation.NextAt = c.Now.Add(jobLease)
		case p != nil:
			c.Rotation.NextAt = c.Now.Add(retryAfter)
			refused = notAnnounced(p.ID)
		default:
			j = s.newJob(c.Record, token)
			return j.begin(c)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if refused != "" {
		return g.Audit(ctx, rotation.OpRotate, name, rotation.OutcomeFailed, "", refused)
	}
	s.rotations.start(s, g, j)
	return nil
}

// cancelManaged cancels what was set up before Rota's configuration had the
// secret: a function's schedule, or a deletion.
func (s *Server) cancelManaged(ctx context.Context, g *record.Guarded, name string) error {
	act := record.Operation{Action: access.Rotate, Op: rotation.OpCancelRotation, Detail: "Rota's configuration rotates the secret now"}
	return g.Update(ctx, name, act, func(c *record.Change) error {
		switch {
		case !c.Exists:
			return rota.WithRemedies(errors.New("its recovery window is over, but it isn't removed because the configuration rotates it"), rota.Outside("take it out of rota.yaml"))
		case !c.DeleteAt.IsZero() || c.Rotation.NextAt.IsZero():
			return errNotDue
		}
		endRehearsal(c)
		c.Rotation = record.Rotation{RotatedAt: c.Rotation.RotatedAt}
		return nil
	})
}
