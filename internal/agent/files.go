package agent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/rota-dev/rota"
)

// How long changes are collected, how often files are looked at that nothing is known
// to have changed, and how long one of them may take.
const (
	settle      = 250 * time.Millisecond
	checkEvery  = 5 * time.Minute
	fileTimeout = time.Minute
)

// managed is a file and what belongs into it.
type managed struct {
	path    string
	target  rota.Target
	names   []string
	secrets *Secrets
	command *command // nil for none
	log     *slog.Logger

	current rota.Credential // what was written last
	there   bool            // it was written
	next    time.Time       // when it's looked at
	pause   *backoff.ExponentialBackOff
	err     error // of the last attempt
}

// update writes the file, if what belongs into it isn't there. It reports whether
// the content has changed.
func (m *managed) update(ctx context.Context) (changed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, fileTimeout)
	defer cancel()
	c, err := m.secrets.Current(ctx)
	if err != nil {
		return false, err
	}
	before := digest(m.path)
	if m.command != nil {
		// Whatever happens from here on, the command is owed once the file is another.
		if err := m.command.owe(); err != nil {
			return false, err
		}
	}
	err = m.target.Deliver(ctx, rota.DeliverRequest{Credential: c})
	changed = !bytes.Equal(before, digest(m.path)) // an error may come after that
	if err != nil {
		return changed, err
	}
	if changed && m.there && c.Equal(m.current) {
		m.log.Warn("somebody else has changed a file; what belongs there is back", "path", m.path)
	} else if changed {
		m.log.Info("a file has new content", "path", m.path)
	}
	m.current, m.there = c, true
	return changed, nil
}

// digest stands for a file's content; nil if it can't be read.
func digest(path string) []byte {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	sum := sha256.Sum256(text)
	return sum[:]
}

// writer writes files when their secrets change, one at a time.
type writer struct {
	agent *Agent
	wake  chan struct{}
	stops []func()
}

func (w *writer) stop() {
	for _, stop := range w.stops {
		stop()
	}
	for _, c := range w.agent.commands {
		c.stop()
	}
}

func (w *writer) run(ctx context.Context, once bool, failed <-chan error, ready func()) error {
	for _, m := range w.agent.files {
		w.stops = append(w.stops, m.secrets.Watch(func() {
			select {
			case w.wake <- struct{}{}:
			default:
			}
		}))
	}
	for _, c := range w.agent.commands {
		if err := c.start(ctx); err != nil {
			return err
		}
	}
	w.round(ctx, true)
	complete := false
	for {
		if !complete && w.complete() {
			complete = true
			if once {
				return w.finish(ctx)
			}
			ready()
		}
		if ctx.Err() != nil {
			if !complete && once {
				return w.failure()
			}
			return nil
		}
		timer := time.NewTimer(w.pause())
		select {
		case <-ctx.Done():
		case err := <-failed:
			timer.Stop()
			return err
		case <-w.wake:
			delay := settle
			if w.agent.splay > 0 {
				delay += rand.N(w.agent.splay) //nolint:gosec // it spreads work, and is no secret
			}
			if sleep(ctx, delay) == nil {
				w.drain()
				w.round(ctx, true)
			}
		case <-timer.C:
			w.round(ctx, false)
		}
		timer.Stop()
	}
}

func (w *writer) drain() {
	select {
	case <-w.wake:
	default:
	}
}

// complete reports whether every file was written.
func (w *writer) complete() bool {
	for _, m := range w.agent.files {
		if !m.there {
			return false
		}
	}
	return true
}

// failure says why there's a file that couldn't be written.
func (w *writer) failure() error {
	errs := []error{errNotAll}
	for _, m := range w.agent.files {
		if m.err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", m.path, m.err))
		}
	}
	return errors.Join(errs...)
}

// pause is how long there's nothing to do.
func (w *writer) pause() time.Duration {
	next := time.Now().Add(checkEvery)
	for _, m := range w.agent.files {
		if m.next.Before(next) {
			next = m.next
		}
	}
	return time.Until(next)
}

// round writes all files, or those that are due, and then has their commands run,
// each one once.
func (w *writer) round(ctx context.Context, all bool) {
	due := map[*command]bool{}
	for _, m := range w.agent.files {
		if !all && time.Now().Before(m.next) || ctx.Err() != nil {
			continue
		}
		changed, err := m.update(ctx)
		m.err = err
		if m.command != nil {
			due[m.command] = due[m.command] || changed
		}
		if err == nil {
			m.next, m.pause = time.Now().Add(checkEvery), nil
			continue
		}
		if ctx.Err() != nil {
			return
		}
		if m.pause == nil {
			m.pause = &backoff.ExponentialBackOff{InitialInterval: time.Second, Multiplier: 2, RandomizationFactor: 0.5, MaxInterval: time.Minute}
			m.log.Error("a file can't be written", "path", m.path, "error", err)
		}
		m.next = time.Now().Add(m.pause.NextBackOff())
	}
	for c, changed := range due {
		if changed {
			c.request()
		} else {
			c.release()
		}
	}
}

// finish waits for the commands, for an agent that runs once.
func (w *writer) finish(ctx context.Context) error {
	var errs []error
	for _, c := range w.agent.commands {
		if err := c.wait(ctx); err != nil {
			errs = append(errs, fmt.Errorf("the command %s: %w", c.name, err))
		}
	}
	return errors.Join(errs...)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
