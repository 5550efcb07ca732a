package kubernetes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// maxMisses is how many looks in a row may fail: the rollout goes on meanwhile.
const maxMisses = 10

// maxStill is how many looks in a row may show no progress while pods are refused: a quota
// without room for a surge refuses one now and then, and the rollout gets on all the same.
const maxStill = 60

// wait waits until the workload's pods have the value that was delivered.
func (r *Restart) wait(ctx context.Context, w *workload, d delivered) error {
	op := "roll out " + r.Namespace + "/" + w.String()
	state := "it was never looked at"
	lacked, still := "", 0
	for misses := 0; ; {
		now, err := r.Connection.getWorkload(ctx, r.Namespace, w.kind, w.Metadata.Name)
		if err == nil {
			if lacks := now.missing(); lacks != lacked {
				lacked, still = lacks, 0
			}
			var done bool
			var how string
			if done, how, err = r.look(ctx, now, d); done {
				return nil
			}
			state = cmp.Or(how, state)
		}
		switch {
		case err == nil:
			misses = 0
		case errors.Is(err, errRefusedPods) && still < maxStill:
			misses, state = 0, lacked+"; "+err.Error()
			still++
		case isFailed(err), rota.ClassOf(err) != rota.ClassWait, ctx.Err() == nil && misses >= maxMisses:
			return err
		case ctx.Err() == nil:
			misses++
		}
		if ctx.Err() == nil {
			err = rota.Sleep(ctx, cmp.Or(r.Poll, defaultPoll))
		}
		if ctx.Err() != nil {
			return r.late(ctx, op, w, state, err)
		}
	}
}

// late is the error of a rollout that wasn't complete in time.
func (r *Restart) late(ctx context.Context, op string, w *workload, state string, err error) error {
	e := &rota.Error{System: r.Connection.System(), Connection: r.Connection.name, Op: op, Class: rota.ClassWait}
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		e.Err = cmp.Or(err, ctx.Err())
		return e
	}
	e.Err = fmt.Errorf("it wasn't done within %s: %s: %w", rota.FormatDuration(cmp.Or(r.Timeout, defaultTimeout)), state, ctx.Err())
	e.Remedies = rota.Outside("see kubectl describe " + w.kind.name + " " + w.Metadata.Name + " -n " + r.Namespace + "; if it just needs longer, raise the reloader's timeout")
	return e
}

// look asks once how far a workload is. state says what's missing, for people.
func (r *Restart) look(ctx context.Context, w *workload, d delivered) (done bool, state string, err error) {
	if !r.restarts(w) {
		return r.propagated(d)
	}
	if err := r.broken(w, d); err != nil {
		return false, "", err
	}
	state = w.missing()
	if state == "" && !w.reloadedByOther(d.secret) {
		return true, "", nil
	}
	if state != "" {
		if err := r.refusedPods(ctx, w, d); err != nil {
			return false, state, err
		}
	}
	pods, err := r.Connection.listPods(ctx, r.Namespace, w.Spec.Selector.String())
	if err != nil {
		return false, state, err
	}
	if state == "" { // somebody else restarts it, which may not have begun
		for _, p := range pods {
			if p.active() && !p.began().After(d.at) {
				return false, "Reloader hasn't replaced pod " + p.Metadata.Name + " yet. The workload's annotations leave the restart to Reloader: see whether it runs", nil
			}
		}
		return true, "", nil
	}
	for _, p := range pods {
		if w.isOld(p) || !p.active() {
			continue // one that's replaced
		}
		if err := r.sick(ctx, w, p, d); err != nil {
			return false, state, err
		}
		if why := d.said(p.unscheduled()); why != "" {
			state += "; pod " + p.Metadata.Name + " can't be scheduled: " + why
		}
	}
	return false, state, nil
}

// propagated reports whether every kubelet has put a mounted value in place.
func (r *Restart) propagated(d delivered) (done bool, state string, err error) {
	rest := cmp.Or(r.Propagation, defaultPropagation) - r.Connection.now().Sub(d.at)
	if rest <= 0 {
		return true, "", nil
	}
	return false, "its kubelets have " + rota.FormatDuration(rest.Round(time.Second)) + " more to put the value into its volumes", nil
}

// missing is what a rollout lacks to be complete, "" if nothing, as kubectl rollout
// status has it.
func (w *workload) missing() string {
	s, want := w.Status, w.replicas()
	if int64(s.ObservedGeneration) < w.Metadata.Generation {
		return "the controller hasn't seen it yet"
	}
	updated, available, old := s.Updated, s.Available, 0
	switch w.kind.name {
	case kindRollout:
		return w.missingRollout()
	case "deployment":
		old = max(s.Replicas-s.Updated, 0)
	case "statefulset":
		if s.UpdateRevision != s.CurrentRevision && want > 0 {
			old = max(want-s.Updated, 0)
		} else {
			updated = max(updated, s.Ready) // the controller stops counting once all are updated
		}
		available = min(s.Ready, s.Available)
	case "daemonset":
		want, updated, available = s.Desired, s.UpdatedScheduled, s.NumberAvailable
	}
	if updated >= want && available >= want && old == 0 {
		return ""
	}
	return fmt.Sprintf("of %d pods, %d are new, %d are available, and %d old ones still run", want, updated, available, old)
}

// failed is a rollout that doesn't get on by itself.
type failed struct{ error }

func (f *failed) Unwrap() error { return f.error }

func isFailed(err error) bool {
	_, ok := errors.AsType[*failed](err)
	return ok
}

// errRefusedPods is that of pods that can't be made.
var errRefusedPods = errors.New("its pods can't be made")

// fails is the error of a rollout that fails. It's tried again: somebody mends it, and
// nothing is retired until then.
func (r *Restart) fails(w *workload, hint, format string, args ...any) error {
	return &rota.Error{System: r.Connection.System(), Connection: r.Connection.name, Op: "roll out " + r.Namespace + "/" + w.String(), Class: rota.ClassWait,
		Err: &failed{fmt.Errorf(format, args...)}, Remedies: rota.Outside(hint + "; Rota goes on once it's healthy")}
}

// said is a message of the cluster's, or what a container has printed, without the
// Secret's values. The rest of an error isn't looked at for them: a user is often called
// as the workload is.
func (d delivered) said(text string) string {
	return provider.Said(rota.Sanitize(errors.New(text), d.secret.values()).Error())
}

// broken is what a workload itself says keeps it from getting on.
func (r *Restart) broken(w *workload, d delivered) error {
	if int64(w.Status.ObservedGeneration) < w.Metadata.Generation {
		return nil
	}
	describe := "see kubectl describe " + w.kind.name + " " + w.Metadata.Name + " -n " + r.Namespace
	if w.Status.Phase == "Degraded" {
		return r.fails(w, describe, "it's degraded: %s", d.said(w.Status.Message))
	}
	for _, c := range w.Status.Conditions {
		switch said := d.said(c.Message); {
		case c.Type == "ReplicaFailure" && c.Status == "True":
			return r.failsToCreate(w, said)
		case c.Type == "Progressing" && c.Status == "False" && c.Reason == "ProgressDeadlineExceeded":
			return r.fails(w, describe+", and raise its progressDeadlineSeconds if it just needs longer", "its progress deadline is over: %s", said)
		}
	}
	return nil
}

// unscheduled says why no node takes the pod, "" if one does.
func (p *pod) unscheduled() string {
	for _, c := range p.Status.Conditions {
		if c.Type == "PodScheduled" && c.Status == "False" {
			return cmp.Or(c.Message, c.Reason)
		}
	}
	return ""
}
