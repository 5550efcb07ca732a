package memory

import (
	"context"
	"slices"

	"github.com/rota-dev/rota"
)

// Target keeps what was delivered to it.
type Target struct {
	part
	name    string
	history []rota.DeliverRequest
}

// NewTarget makes a target that has received nothing yet.
func NewTarget(name string, o Options) *Target {
	t := &Target{name: name}
	t.init(o, "memory target")
	return t
}

// Name returns the target's name.
func (t *Target) Name() string { return t.name }

// Deliver keeps the credential. Delivering the same one again changes nothing.
func (t *Target) Deliver(ctx context.Context, r rota.DeliverRequest) error {
	return t.do(ctx, "target.deliver", func(Fault) error {
		if n := len(t.history); n > 0 {
			if last := t.history[n-1]; last.Version == r.Version && last.Credential.Equal(r.Credential) {
				return nil
			}
		}
		t.history = append(t.history, r)
		t.made = append(t.made, r.Version)
		return nil
	})
}

// Current returns what readers of the target see, or false if nothing has been
// delivered yet.
func (t *Target) Current() (rota.DeliverRequest, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.history) == 0 {
		return rota.DeliverRequest{}, false
	}
	return t.history[len(t.history)-1], true
}

// History returns every delivery in order, without repeats.
func (t *Target) History() []rota.DeliverRequest {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.history)
}

// Reloader makes consumers pick up a version.
type Reloader struct {
	part
	name    string
	reload  func(rota.ReloadRequest) error
	history []rota.ReloadRequest
}

// NewReloader makes a reloader that calls reload, or does nothing if reload is
// nil. Reloads run one at a time, and reload must not call the reloader.
func NewReloader(name string, reload func(rota.ReloadRequest) error, o Options) *Reloader {
	r := &Reloader{name: name, reload: reload}
	r.init(o, "memory reloader")
	return r
}

// Name returns the reloader's name.
func (r *Reloader) Name() string { return r.name }

// Reload makes the consumers pick up the version.
func (r *Reloader) Reload(ctx context.Context, q rota.ReloadRequest) error {
	return r.do(ctx, "reloader.reload", func(Fault) error {
		if r.reload != nil {
			if err := r.reload(q); err != nil {
				return r.fail("reloader.reload", rota.ClassOf(err), err)
			}
		}
		r.history = append(r.history, q)
		r.made = append(r.made, q.Version)
		return nil
	})
}

// History returns every successful reload in order, including repeats.
func (r *Reloader) History() []rota.ReloadRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.history)
}

// Notifier keeps the events that it receives.
type Notifier struct {
	part
	name   string
	events []rota.Event
}

// NewNotifier makes a notifier that has received no events yet.
func NewNotifier(name string, o Options) *Notifier {
	n := &Notifier{name: name}
	n.init(o, "memory notifier")
	return n
}

// Name returns the notifier's name.
func (n *Notifier) Name() string { return n.name }

// Notify keeps the event.
func (n *Notifier) Notify(ctx context.Context, e rota.Event) error {
	return n.do(ctx, "notifier.notify", func(Fault) error {
		n.events = append(n.events, e)
		n.made = append(n.made, e.ID)
		return nil
	})
}

// Events returns the events in order, including repeats.
func (n *Notifier) Events() []rota.Event {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.events)
}

// Check is a user-defined test.
type Check struct {
	part
	name  string
	check func(rota.Credential) error
}

// NewCheck makes a check that calls check, or always passes if check is nil.
func NewCheck(name string, check func(rota.Credential) error, o Options) *Check {
	c := &Check{name: name, check: check}
	c.init(o, "memory check")
	return c
}

// Name returns the check's name.
func (c *Check) Name() string { return c.name }

// Check uses the credential once.
func (c *Check) Check(ctx context.Context, cred rota.Credential) error {
	return c.do(ctx, "check.check", func(Fault) error {
		if c.check == nil {
			return nil
		}
		if err := c.check(cred); err != nil {
			return c.fail("check.check", rota.ClassOf(err), rota.Sanitize(err, cred))
		}
		return nil
	})
}
