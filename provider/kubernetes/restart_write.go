package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"time"

	"github.com/rota-dev/rota"
)

// What a restart writes into the pod template.
const (
	annotationRestarted = "kubectl.kubernetes.io/restartedAt" // kubectl rollout restart's
	annotationRestart   = "rota.dev/restart"
)

// restarted is what annotationRestart holds: Rota's last restart. All pods with it began
// later.
type restarted struct {
	At time.Time `json:"at"` // by the cluster's clock
	// For is what it was for: the resource versions of Secrets, and the versions of
	// Rota's secrets whose Secret isn't known.
	For map[string]string `json:"for,omitempty"`
}

// certain is how far apart two times of the cluster must be for their order to be sure:
// they're in whole seconds, and Rota's idea of the cluster's clock may be off by one.
const certain = 2 * time.Second

// skew is how far apart the clocks of a cluster's API servers may be. A time that's
// farther from the truth was written by somebody else.
const skew = time.Minute

// covers reports whether the restart came after the delivery. Others may have written
// what the annotation says: a restart is never ahead of the clock, and none for a Secret
// comes before that was written.
func (s restarted) covers(d delivered, now time.Time) bool {
	if s.At.After(now.Add(skew)) || d.secret.Metadata.UID != "" && s.At.Before(d.at.Add(-skew)) {
		return false
	}
	return d.state != "" && s.For[d.key] == d.state || s.At.Sub(d.at) > certain
}

// lastRestart is the one that a workload was restarted by.
func (w *workload) lastRestart() restarted {
	if w.kind.name == kindRollout {
		return restartIn(w.Metadata.Annotations)
	}
	return restartIn(w.Spec.Template.Metadata.Annotations)
}

// restartIn is the restart that annotations tell of, zero if none.
func restartIn(annotations map[string]string) restarted {
	var s restarted
	if json.Unmarshal([]byte(annotations[annotationRestart]), &s) != nil {
		return restarted{}
	}
	return s
}

// patch writes the restart into the pod template.
func (r *Restart) patch(ctx context.Context, w *workload, d delivered, dry bool) error {
	at := r.Connection.now().UTC().Truncate(time.Second)
	s := restarted{At: at, For: maps.Clone(w.lastRestart().For)}
	if s.For == nil {
		s.For = map[string]string{}
	}
	s.For[d.key] = d.state
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	op, query := "restart ", url.Values{"fieldManager": {manager}}
	if dry {
		op = "try to restart "
		query.Set("dryRun", "All")
	}
	q := request{
		op: op + r.Namespace + "/" + w.String(), kind: w.kind.title, method: http.MethodPatch, form: mergePatch, query: query,
		need: r.workloadNeed(w.kind, w.Metadata.Name, "patch"), path: w.kind.path(r.Namespace, w.Metadata.Name),
		body: map[string]any{
			"metadata": map[string]any{"resourceVersion": w.Metadata.ResourceVersion},
			"spec": map[string]any{"template": map[string]any{"metadata": map[string]any{"annotations": map[string]string{
				annotationRestarted: at.Format(time.RFC3339), annotationRestart: string(text)}}}},
		},
	}
	if w.kind.name == kindRollout {
		q.body = map[string]any{
			"metadata": map[string]any{"resourceVersion": w.Metadata.ResourceVersion, "annotations": map[string]string{annotationRestart: string(text)}},
			"spec":     map[string]any{"restartAt": at.Format(time.RFC3339)},
		}
	}
	now := workload{kind: w.kind}
	if err := r.Connection.do(ctx, q, &now); err != nil || dry {
		return err
	}
	*w = now
	return nil
}

// obstacle is the error if a restart couldn't replace the workload's pods.
func (r *Restart) obstacle(w *workload) error {
	refuse := func(hint, why string) error {
		return r.Connection.refuse("restart "+r.Namespace+"/"+w.String(), rota.Outside(hint), errors.New(why))
	}
	name := w.kind.name + "/" + w.Metadata.Name + " -n " + r.Namespace
	switch {
	case w.Spec.Paused && w.kind.name == kindRollout:
		return refuse("set its spec.paused to false", "its rollouts are paused")
	case w.Spec.Paused:
		return refuse("kubectl rollout resume "+name, "its rollouts are paused")
	case w.Spec.UpdateStrategy.Type == "OnDelete":
		return refuse("set its updateStrategy to RollingUpdate, or restart it by a command of your own (reload: command)", "its updateStrategy is OnDelete, so a restart replaces no pod until somebody deletes it")
	case w.kind.name == "statefulset" && w.Spec.UpdateStrategy.RollingUpdate.Partition > 0:
		return refuse("set the partition of its updateStrategy to 0", fmt.Sprintf("the pods below its partition %d keep the old value", w.Spec.UpdateStrategy.RollingUpdate.Partition))
	}
	return nil
}
