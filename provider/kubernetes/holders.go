package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/rota-dev/rota"
)

var (
	_ rota.HolderReporter = (*Secret)(nil)
	_ rota.HolderReporter = (*Restart)(nil)
)

// Holders implements [rota.HolderReporter]: pods that read the Secret before the version
// was in it, and still run. Those of Jobs let go by themselves.
func (t *Secret) Holders(ctx context.Context, r rota.HoldersRequest) ([]rota.Holder, error) {
	if t.NoWait {
		return nil, nil
	}
	s, exists, err := t.Connection.readSecret(ctx, t.Namespace, t.Object)
	if err != nil {
		return nil, err
	}
	d := delivered{secret: s, key: t.Object, state: s.Metadata.ResourceVersion, at: s.appliedAt()}
	if !exists || d.at.After(t.Connection.now().Add(skew)) { // pods read it all the same
		d.at, _ = t.Connection.clock.There(r.Since)
	}
	return t.Connection.holders(ctx, t.Namespace, t.Object, d, defaultPropagation)
}

// appliedAt is when Rota wrote the Secret last: what others do to their own keys later
// is nobody's reason to wait. It's when the Secret was written at all, if Rota hasn't.
func (s secret) appliedAt() time.Time {
	for _, m := range s.Metadata.ManagedFields {
		if m.mine() {
			return m.Time
		}
	}
	return s.writtenAt()
}

// Holders implements [rota.HolderReporter], for a Secret that others keep in sync: for
// one of Rota's own, the target says it.
func (r *Restart) Holders(ctx context.Context, req rota.HoldersRequest) ([]rota.Holder, error) {
	if r.Secret == "" || r.NoWait {
		return nil, nil
	}
	asked := rota.ReloadRequest{Secret: req.Secret, Version: req.Version, From: req.From, Credential: req.Credential}
	d, err := r.delivered(ctx, asked)
	if err != nil || d.secret.isRotas() {
		return nil, err
	}
	if lacks := r.lacks(d, asked); lacks != "" { // whatever runs has the old value, or gets it
		return []rota.Holder{{Name: "Secret " + r.Namespace + "/" + r.Secret + ", which " + lacks, Remedies: rota.Outside(r.syncHint(d))}}, nil
	}
	return r.Connection.holders(ctx, r.Namespace, r.Secret, d, cmp.Or(r.Propagation, defaultPropagation))
}

// holders are the running pods that read a Secret before it was written.
func (c *Connection) holders(ctx context.Context, namespace, name string, d delivered, propagation time.Duration) ([]rota.Holder, error) {
	pods, err := c.listPods(ctx, namespace, "")
	if err != nil {
		return nil, err
	}
	var holders []rota.Holder
	for _, p := range pods {
		if p.active() && !p.isNew(d, c.now()) && p.mayHold(name, d, c.now(), propagation) {
			holders = append(holders, p.holder())
		}
	}
	return holders, nil
}

// isNew reports whether the pod comes from a restart after the delivery. A pod can say so
// of itself, but not that it's younger than it is.
func (p *pod) isNew(d delivered, now time.Time) bool {
	return p.restart().covers(d, now) && !p.Metadata.CreationTimestamp.Before(d.at.Add(-skew))
}

// restart is the one that the pod comes from.
func (p *pod) restart() restarted { return restartIn(p.Metadata.Annotations) }

// holder is the pod for people.
func (p *pod) holder() rota.Holder {
	name := p.Metadata.Namespace + "/" + p.Metadata.Name
	h := rota.Holder{Name: "pod " + name}
	o, controlled := p.Metadata.controller()
	switch {
	case controlled && o.Kind == "Job":
		h.Remedies = rota.Outside("wait until the Job has finished; if nobody needs it, kubectl delete job " + o.Name + " -n " + p.Metadata.Namespace)
	case controlled:
		h.Remedies = rota.Outside("restart what the pod belongs to, or kubectl delete pod " + p.Metadata.Name + " -n " + p.Metadata.Namespace + ": its " + o.Kind + " makes a new one")
	default:
		h.Remedies = rota.Outside("delete the pod and create it again: nothing else makes a new one")
	}
	if controlled {
		h.Name += " of " + o.Kind + " " + o.Name
	}
	h.Name += fmt.Sprintf(", begun %s", p.began().UTC().Format("2006-01-02 15:04:05 UTC"))
	return h
}
