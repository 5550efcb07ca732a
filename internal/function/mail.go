package function

import (
	"context"
	"slices"

	"github.com/rota-dev/rota"
)

// AWS delivers an event again if it failed or was held: Lambda calls twice more,
// Secrets Manager repeats a step, and EventBridge may send an event twice. Each
// attempt finds the same trouble, and the owner needs to hear of it once.

// trouble is one thing that the owner hears of once per event.
type trouble struct {
	event, notifier, secret string
	kind                    rota.EventKind
}

// maxReported is how many troubles a process remembers.
const maxReported = 1000

// reports remembers what the last events have reported. It lives as long as the
// process, which Lambda keeps between an event's deliveries; a new process sends
// a mail too many rather than one too few.
type reports struct {
	order []trouble
	by    map[trouble]string // the invocation that reported it
}

// seen reports whether an earlier delivery of the same event has reported this.
func (r *reports) seen(t trouble, invocation string) bool {
	by, ok := r.by[t]
	return ok && by != invocation
}

func (r *reports) add(t trouble, invocation string) {
	if r.by == nil {
		r.by = map[trouble]string{}
	}
	if _, ok := r.by[t]; ok {
		return
	}
	if len(r.order) == maxReported {
		delete(r.by, r.order[0])
		r.order = slices.Delete(r.order, 0, 1)
	}
	r.order, r.by[t] = append(r.order, t), invocation
}

// notifier sends an invocation's events in words for whoever reads a function's
// mails, and trouble once per event, however often AWS delivers it.
type notifier struct {
	rota.Notifier
	inv *invocation
}

// Wants implements [rota.Chooser].
func (n notifier) Wants(k rota.EventKind) bool {
	c, ok := n.Notifier.(rota.Chooser)
	return !ok || c.Wants(k)
}

// Notify implements [rota.Notifier].
func (n notifier) Notify(ctx context.Context, e rota.Event) error {
	e.Remedies = n.inv.settings.readable(e.Remedies)
	if !slices.Contains([]rota.EventKind{rota.EventHeld, rota.EventFailed, rota.EventQuarantined}, e.Kind) {
		return n.Notifier.Notify(ctx, e)
	}
	t := trouble{n.inv.event, n.Name(), e.Secret, e.Kind}
	n.inv.reporting.Lock()
	again := n.inv.reports.seen(t, n.inv.attempt)
	n.inv.reporting.Unlock()
	if again {
		n.inv.Log.InfoContext(ctx, "not notified again: the event was delivered before", "secret", e.Secret, "kind", e.Kind, "notifier", n.Name())
		return nil
	}
	if err := n.Notifier.Notify(ctx, e); err != nil {
		return err
	}
	n.inv.reporting.Lock()
	defer n.inv.reporting.Unlock()
	n.inv.reports.add(t, n.inv.attempt)
	return nil
}

// readable says what to do without Rota's command line and, unless the function
// has a rota.yaml, without that: whoever gets a function's mails or errors may
// have neither. What only those could do is left out.
func (s settings) readable(remedies []rota.Remedy) []rota.Remedy {
	requirements := rota.Requirements(remedies)
	for i, alternatives := range requirements {
		var out []rota.Remedy
		for _, r := range alternatives {
			if r, ok := s.reworded(r); ok && !slices.Contains(out, r) {
				out = append(out, r)
			}
		}
		requirements[i] = out
	}
	return rota.AllOf(requirements...)
}

// settingFor says by which setting of the function to do what a key of rota.yaml
// does.
var settingFor = map[string]string{
	"sslmode":      "set PGSSLMODE=verify-full for the function",
	"require_auth": "set PGREQUIREAUTH for the function, to password if the server can only take passwords in cleartext and everyone up to it is trusted",
}

func (s settings) reworded(r rota.Remedy) (rota.Remedy, bool) {
	text := ""
	switch r.Action {
	case rota.RemedyOutside, rota.RemedyWait, rota.RemedyCorrect:
		return r.First(), true // a function tries again by itself
	case rota.RemedyConfigure:
		if s.hasConfig() {
			return r.First(), true
		}
		text = settingFor[r.Key]
	case rota.RemedyAdopt:
		if !s.adopt {
			text = "set ROTA_ADOPT=true for the function, which then takes over the credential in the secret"
		}
	case rota.RemedyAdoptGiven:
		text = "put the credential in use into the secret"
	case rota.RemedyRotate:
		text = "start a new rotation"
	case rota.RemedyDeactivate:
		text = "deactivate the previous credential yourself, once nothing uses it"
	case rota.RemedyDelete:
		text = "delete the previous credential yourself, once nothing uses it"
	case rota.RemedyRollBack:
		text = "move AWSCURRENT back to the version with AWSPREVIOUS"
	}
	return rota.Remedy{Action: rota.RemedyOutside, Text: text}, text != ""
}
