package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rota-dev/rota"
)

// kindRollout is a workload of Argo Rollouts. A change of its pod template would begin a
// canary or a blue-green update, with all its steps; its restartAt replaces the pods that
// are older, in place.
const kindRollout = "rollout"

// serves reports whether the cluster has a kind of workload. It always has its own.
func (c *Connection) serves(ctx context.Context, k kind) (bool, error) {
	if k.group == groupApps {
		return true, nil
	}
	var list struct {
		Resources []struct {
			Name string `json:"name"`
		} `json:"resources"`
	}
	q := request{op: "see whether the cluster has " + k.resource + "." + k.group, kind: "APIResourceList", path: "/apis/" + k.group + "/" + k.version,
		need: need{verbs: []string{"list"}, group: k.group, resource: k.resource}}
	err := c.do(ctx, q, &list)
	if errors.Is(err, rota.ErrNotFound) {
		return false, nil
	}
	for _, r := range list.Resources {
		if r.Name == k.resource {
			return true, err
		}
	}
	return false, err
}

// generation is that of a workload which its controller has seen. Argo Rollouts has it
// as a text, and versions before 1.0 a hash instead.
type generation int64

// UnmarshalJSON implements [json.Unmarshaler].
func (g *generation) UnmarshalJSON(text []byte) error {
	var is string
	if json.Unmarshal(text, &is) != nil {
		return json.Unmarshal(text, (*int64)(g))
	}
	n, err := strconv.ParseInt(is, 10, 64)
	if err != nil {
		n = math.MaxInt64
	}
	*g = generation(n)
	return nil
}

// phasesDone are those in which all of a Rollout's pods are as they should be. One that's
// paused waits for a person to promote an update.
var phasesDone = []string{"Healthy", "Paused"}

// missingRollout is missing for a Rollout.
func (w *workload) missingRollout() string {
	s := w.Status
	switch {
	case s.RestartedAt.Before(w.Spec.RestartAt):
		return "its controller hasn't replaced all pods that are older than " + w.Spec.RestartAt.UTC().Format(time.RFC3339)
	case !slices.Contains(phasesDone, s.Phase):
		return strings.TrimSuffix("its phase is "+s.Phase+": "+s.Message, ": ")
	case s.Available < w.replicas():
		return "of " + strconv.Itoa(w.replicas()) + " pods, " + strconv.Itoa(s.Available) + " are available"
	}
	return ""
}

// isOld reports whether a rollout replaces the pod.
func (w *workload) isOld(p *pod) bool {
	if w.kind.name == kindRollout {
		return p.Metadata.CreationTimestamp.Before(w.Spec.RestartAt)
	}
	return p.Metadata.Annotations[annotationRestart] != w.Spec.Template.Metadata.Annotations[annotationRestart]
}
