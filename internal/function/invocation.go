package function

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/provider/aws"
	"github.com/rota-dev/rota/rotation"
)

// invocation is one call of the function. It creates what it needs on first
// use, and closes that at the end.
type invocation struct {
	*Handler
	id      string // names what this invocation creates; the same when it's repeated
	event   string // the same for every delivery of the event
	attempt string // differs for each
	aws     *aws.Connection
	file    *config.File
	wired   *config.Wired
	journal *journal
	metrics *metrics
	claim   claim           // whose the access key is in the secret that an event names
	topics  []rota.Notifier // notified about failures that no turn reports
	closers []func()
}

// Handler recognizes events and carries them out. It is for one goroutine at a
// time, like Lambda itself.
type Handler struct {
	Options
	settings    settings
	catalog     *config.Catalog
	connection  *aws.Connection // the function's own, once created
	settingsErr error           // what is wrong with the settings
	cursor      string          // where the next sweep starts: the first secret that was skipped
	reporting   sync.Mutex      // a sweep's secrets report concurrently
	reports     reports
}

// begin sets up an invocation, including the configuration.
func (h *Handler) begin(ctx context.Context, id, event string) (*invocation, error) {
	inv := &invocation{Handler: h, id: id, event: cmp.Or(event, rand.Text()), attempt: rand.Text()}
	inv.metrics = newMetrics(h.settings.namespace, h.Metrics, h.Now)
	inv.journal = &journal{now: h.Now, log: h.Log, onEntry: inv.metrics.entry, secrets: map[string]*secretProgress{}}
	if h.connection == nil {
		c, err := aws.New(ctx, "function", aws.Config{Endpoint: h.settings.endpoint})
		if err != nil {
			return nil, &configError{err}
		}
		h.connection = c
	}
	inv.aws = h.connection
	if h.settings.topic != "" {
		inv.topics = append(inv.topics, notifier{inv.aws.Topic(h.settings.topic), inv})
	}
	if !h.settings.hasConfig() {
		return inv, nil
	}
	var err error
	if inv.file, err = loadConfig(ctx, h.catalog, h.settings, inv.aws); err != nil {
		return nil, err
	}
	if inv.wired, err = inv.file.Wire(ctx, config.Environment{LookupEnv: h.LookupEnv}); err != nil {
		return nil, err
	}
	inv.closers = append(inv.closers, func() { _ = inv.wired.Close() })
	inv.wired.Secrets = slices.DeleteFunc(inv.wired.Secrets, func(s *rotation.Secret) bool {
		err := needsDatabase(s.Policy)
		if err == nil {
			return false
		}
		delete(inv.wired.ByName, s.Name)
		inv.wired.Broken[s.Name] = &rotation.SecretError{Secret: s.Name, Err: err}
		return true
	})
	for _, s := range inv.wired.Secrets {
		inv.register(s, "")
	}
	return inv, nil
}

// needsDatabase refuses what a policy asks for that takes a database of Rota's own.
func needsDatabase(p rotation.Policy) error {
	switch {
	case len(p.ApartFrom) > 0:
		return rota.WithRemedies(errors.New("apart_from needs a database in which rotations see each other"), rota.Outside("run it with the daemon, or use blackouts instead"))
	case p.RetireWhen != nil:
		return rota.WithRemedies(errors.New("retire_when needs a server to which instances report what they hold"), rota.Outside("run it with the daemon, or use a longer deactivate_previous_after instead"))
	}
	return nil
}

func (inv *invocation) end() {
	for _, end := range slices.Backward(inv.closers) {
		end()
	}
	inv.metrics.flush()
}

// register adds a secret to the journal, and the owner's topics to its
// notifiers: the function's topic and the secret's own, "" for none. An own
// topic belongs to the only secret of the invocation.
func (inv *invocation) register(s *rotation.Secret, own string) {
	if own != "" && own != inv.settings.topic {
		inv.topics = append(inv.topics, notifier{inv.aws.Topic(own), inv})
	}
	configured := s.Notifiers // which other secrets may share
	s.Notifiers = nil
	for _, n := range configured {
		s.Notifiers = append(s.Notifiers, notifier{n, inv})
	}
	for _, topic := range inv.topics {
		if !slices.ContainsFunc(s.Notifiers, func(n rota.Notifier) bool { return n.Name() == topic.Name() }) {
			s.Notifiers = append(s.Notifiers, topic)
		}
	}
	inv.journal.add(s)
}

// notifying carries out a request for one secret. The owner also hears about
// failures that happen before a turn could report them.
func (inv *invocation) notifying(ctx context.Context, secret string, do func() (any, error)) (any, error) {
	out, err := do()
	if err == nil || inv.journal.reported() {
		return out, err
	}
	inv.metrics.add(secret, "StepsFailed", 1)
	e := rota.Event{ID: cmp.Or(inv.id, uuid.NewString()), Kind: rota.EventFailed, Secret: secret, At: inv.Now().UTC(), Reason: err.Error(), Remedies: rota.RemediesOf(err)}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerMargin*3/4) // time may have run out
	defer cancel()
	for _, topic := range inv.topics {
		if told := topic.Notify(ctx, e); told != nil {
			inv.metrics.add(secret, "NotNotified", 1)
			inv.Log.WarnContext(ctx, "the owner could not be notified", "secret", secret, "topic", topic.Name(), "error", told)
		}
	}
	return out, err
}

// rotator returns the rotator. The first version that it creates is named after
// the invocation, so that a repeated event finds it.
func (inv *invocation) rotator() *rotation.Rotator {
	first := true
	return &rotation.Rotator{
		Journal: inv.journal, Now: inv.Now, Sleep: inv.Sleep, Log: inv.Log, Actor: "function",
		NewID: func() string {
			if _, err := uuid.Parse(inv.id); err != nil || !first {
				return rota.NewVersionID()
			}
			first = false
			return inv.version()
		},
	}
}

// version is the id of the version that this invocation creates.
func (inv *invocation) version() string { return rota.VersionPrefix + inv.id }

// configuredSecret returns the secret in rota.yaml that's stored in this entry
// of Secrets Manager, nil if there is none.
func (inv *invocation) configuredSecret(id string) (*rotation.Secret, error) {
	if inv.wired == nil {
		return nil, nil
	}
	var found []*rotation.Secret
	for _, s := range inv.wired.Secrets {
		if aws.Holds(s.Store, id) {
			found = append(found, s)
		}
	}
	switch len(found) {
	case 0:
		if len(inv.wired.Broken) > 0 {
			// It may be one of those that couldn't be wired.
			return nil, &configError{fmt.Errorf("no configured secret is stored in %s, and some can't be used: %w", id, firstBroken(inv.wired))}
		}
		return nil, nil
	case 1:
		return found[0], nil
	}
	return nil, &configError{fmt.Errorf("the configured secrets %s and %s are both stored in %s", found[0].Name, found[1].Name, id)}
}

func firstBroken(w *config.Wired) error {
	names := make([]string, 0, len(w.Broken))
	for name := range w.Broken {
		names = append(names, name)
	}
	return w.Broken[slices.Min(names)]
}

// eventPolicy is a policy under which nothing happens by itself: events say
// when. A grace period shorter than a week shortens what's asked of the previous
// credential's use, as in rota.yaml; otherwise nothing could happen on the day.
func (s settings) eventPolicy(afterDays *int) rotation.Policy {
	const never = 100 * 365 * rota.Day
	p := rotation.Policy{DeactivatePreviousAfter: never}
	if afterDays != nil {
		p.DeactivatePreviousAfter = time.Duration(*afterDays) * rota.Day
	}
	unused := cmp.Or(s.unusedFor, p.WithDefaults().UnusedFor)
	return rotation.Policy{DeactivatePreviousAfter: never, DeletePreviousAfter: 2 * never, UnusedFor: unused}
}

// retireFirstPolicy is a policy under which the previous credential stays until
// the next one is created.
func (s settings) retireFirstPolicy() rotation.Policy {
	return rotation.Policy{Retire: rotation.RetireBeforeCreate, UnusedFor: s.unusedFor}
}

// answerMargin is the part of an invocation's time reserved for its response.
const answerMargin = 2 * time.Second

// withMargin ends a little before Lambda would kill the process, so that
// in-flight work is recorded and the response sent.
func withMargin(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-min(answerMargin, time.Until(deadline)/5)))
}
