package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// lastDay is when the demo ends: after the second rotation and the deletion of
// the credential that it replaced.
const lastDay = 201

// Run plays the demo and prints what happens. It fails if anything deviates
// from what Rota promises.
func Run(ctx context.Context, out io.Writer, color bool) error {
	p := &printer{out: out, color: color}
	w, err := newWorld(ctx, p.step)
	if w != nil {
		defer w.close()
	}
	if err != nil {
		return err
	}
	p.opening(w)
	var ages []age
	start := w.clock.Now()
	for hour := 0; hour <= lastDay*24; hour++ {
		w.clock.set(start.Add(time.Duration(hour) * time.Hour))
		for _, s := range w.secrets {
			a, err := w.hour(ctx, p, s, hour/24)
			if err != nil {
				return err
			}
			ages = append(ages, a...)
		}
		if hour%24 == 12 {
			for _, a := range w.apps {
				a.work()
			}
		}
	}
	if err := p.closing(ctx, w, ages); err != nil {
		return err
	}
	return verify(ctx, w)
}

// hour is what rota run does for a secret in one hour: nothing, unless it's
// due. It returns the ages of a replaced credential.
func (w *world) hour(ctx context.Context, p *printer, s *rotation.Secret, day int) ([]age, error) {
	snapshot, err := w.own.Journal().Load(ctx, s.Name)
	before := snapshot.Progress
	if err != nil || before.NextAt.After(w.clock.Now()) {
		return nil, err
	}
	now := w.clock.Now()
	p.turn(day, now, s.Name)
	res, err := w.rotator.Advance(ctx, s, rotation.Options{})
	if err != nil || len(res.Done) == 0 {
		return nil, err
	}
	if err := p.state(ctx, w, s); err != nil || res.Done[0].Step != rota.StepCreate {
		return nil, err
	}
	return []age{{s.Name, day, before.Status.IssuedAt, now, res.Status.IssuedAt}}, nil
}

// verify checks the demo's promises in the systems themselves.
func verify(ctx context.Context, w *world) error {
	var errs []error
	for _, a := range w.apps {
		if a.failures > 0 || a.logins < lastDay {
			errs = append(errs, fmt.Errorf("%s logged in %d times and failed %d times", a.name, a.logins, a.failures))
		}
	}
	if keys := w.aws.Keys(user); len(keys) != 1 || keys[0].Status != "Active" {
		errs = append(errs, fmt.Errorf("the user has %d keys at the end, want one, active", len(keys)))
	}
	other, err := otherFields(w)
	if err != nil {
		return err
	}
	if other["bucket"] != bucket || fmt.Sprint(other["retries"]) != "3" {
		errs = append(errs, fmt.Errorf("the secret's other fields did not survive: %v", other))
	}
	if _, err := w.own.Audit().Verify(ctx); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
