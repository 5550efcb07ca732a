package rotation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/rota-dev/rota"
)

// deliver writes the current credential to every target that doesn't have it
// yet. If one fails, the others are still written.
func (t *turn) deliver(ctx context.Context, d Decision) error {
	c, err := t.outside.get(ctx, d.Version)
	if err != nil {
		return err
	}
	due := missing(t.s.targetNames(), t.ledger.version(d.Version).Delivered)
	if err := t.ledger.writeAhead(ctx, d, due...); err != nil {
		return err
	}
	var errs []error
	for _, target := range t.s.Targets {
		name := target.Name()
		if !t.ledger.version(d.Version).Delivered[name].IsZero() {
			continue
		}
		err := t.outside.retry(ctx, 3, "target.deliver", name, func(ctx context.Context) error {
			return target.Deliver(ctx, rota.DeliverRequest{Secret: t.s.Name, Version: d.Version, Credential: c})
		})
		t.ledger.noteOutcome(d, name, err)
		if err != nil {
			errs = append(errs, naming("deliver to", name, err))
			continue
		}
		t.ledger.update(d.Version, func(vp *VersionProgress) { vp.Delivered = noted(vp.Delivered, name, t.Now()) })
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if t.s.lastServing() != rota.StepDeliver {
		return nil
	}
	err = t.markServed(ctx, d.Version)
	if len(due) == 0 {
		t.ledger.noteOutcome(d, "", err) // only the label was missing, which was begun as an effect of its own
	}
	return err
}

// reload makes the consumers pick up the current credential, one reloader after
// the other, and waits for each. If one fails, those after it aren't reloaded:
// the consumers that still run are left alone.
func (t *turn) reload(ctx context.Context, d Decision) error {
	// A reloader's program may print the value that it finds at a target: the
	// redactor must know it.
	c, err := t.outside.get(ctx, d.Version)
	if err != nil {
		return err
	}
	onlyLabel := len(missing(t.s.reloaderNames(), t.ledger.version(d.Version).Reloaded)) == 0
	if onlyLabel { // which is an effect of its own
		if err := t.ledger.writeAhead(ctx, d); err != nil {
			return err
		}
	}
	for _, r := range t.s.Reloaders {
		name := r.Name()
		if !t.ledger.version(d.Version).Reloaded[name].IsZero() {
			continue
		}
		if err := t.ledger.writeAhead(ctx, d, name); err != nil {
			return err
		}
		if err := t.ledger.keep(ctx); err != nil {
			return err
		}
		err := t.outside.traced(ctx, Span{Name: "reloader.reload", Object: name}, func(ctx context.Context) error {
			return t.ledger.keepDuring(ctx, func(ctx context.Context) error {
				return r.Reload(ctx, rota.ReloadRequest{Secret: t.s.Name, Version: d.Version, From: t.from(d.Version), Credential: c})
			})
		})
		if err != nil {
			t.learnValues(ctx)
			err = t.refusedToo(ctx, err)
		}
		t.ledger.noteOutcome(d, name, err)
		if err != nil {
			return naming("reload", name, err)
		}
		t.ledger.update(d.Version, func(vp *VersionProgress) { vp.Reloaded = noted(vp.Reloaded, name, t.Now()) })
	}
	if !onlyLabel && t.s.Policy.RetireWhen != nil {
		return nil // instances are asked first
	}
	err = t.markServed(ctx, d.Version)
	if onlyLabel {
		t.ledger.noteOutcome(d, "", err)
	}
	return err
}

// naming says what was being done to a target or reloader, which may have named
// itself already.
func naming(doing, name string, err error) error {
	if strings.HasPrefix(err.Error(), name+": ") {
		return fmt.Errorf("%s %w", doing, err)
	}
	return fmt.Errorf("%s %s: %w", doing, name, err)
}

// learnValues reads every value of the secret that may still be valid, so that
// the redactor knows them: a program that failed may have printed what it found,
// such as the difference between the old and the new file.
func (t *turn) learnValues(ctx context.Context) {
	for _, label := range []rota.Label{rota.LabelCurrent, rota.LabelPrevious, rota.LabelPending} {
		if v, ok := t.seen.find(label); ok && !v.Empty {
			_, _ = t.outside.get(ctx, v.ID) // what can't be read now is left as it is
		}
	}
}

// refusedToo adds to a failed reload that the issuer refuses the current
// credential, if it does: then no consumer could ever pick it up.
func (t *turn) refusedToo(ctx context.Context, failed error) error {
	if errors.Is(failed, rota.ErrFenced) {
		return failed
	}
	err := t.currentLogsIn(ctx)
	switch {
	case err == nil || rota.ClassOf(err) == rota.ClassWait && !errors.Is(err, rota.ErrRefused):
		return failed
	case !errors.Is(err, rota.ErrRefused): // what keeps Rota from seeing the cause has to be mended as well
		return fmt.Errorf("%w; and whether the current credential is refused can't be seen: %w", failed, err)
	}
	return rota.WithRemedies(fmt.Errorf("%w; and the current credential is refused: %w", failed, err), t.view().refusedCurrent())
}

// noted adds a name to a copy: the map may be shared with a saved progress.
func noted(m map[string]time.Time, name string, at time.Time) map[string]time.Time {
	m = maps.Clone(m)
	if m == nil {
		m = map[string]time.Time{}
	}
	m[name] = at
	return m
}
