package kubernetes

import (
	"context"
	"net/url"
	"time"

	"github.com/rota-dev/rota/provider"
)

// event is one as the API server keeps it.
type event struct {
	Message string    `json:"message"`
	Last    time.Time `json:"lastTimestamp"`
	At      time.Time `json:"eventTime"` // of events that aren't counted
}

// refusedPods is the error if the pods of a StatefulSet or a DaemonSet can't be made.
// Deployments have a condition for that; these only have events, which others may not let
// Rota read.
func (r *Restart) refusedPods(ctx context.Context, w *workload, d delivered) error {
	if w.kind.name != "statefulset" && w.kind.name != "daemonset" {
		return nil
	}
	q := request{op: "list the events of " + r.Namespace + "/" + w.String(), kind: "EventList", need: eventsNeed(r.Namespace), path: pathOf("", r.Namespace, "events", ""),
		query: url.Values{"limit": {pageSize}, "fieldSelector": {"reason=FailedCreate,involvedObject.kind=" + w.kind.title + ",involvedObject.uid=" + w.Metadata.UID}}}
	var page struct {
		Items []event `json:"items"`
	}
	if r.Connection.do(ctx, q, &page) != nil {
		return nil //nolint:nilerr // without them, the rollout just isn't done in time
	}
	since, said := w.lastRestart().At, ""
	for _, e := range page.Items {
		at := e.Last
		if e.At.After(at) {
			at = e.At
		}
		if !at.Before(since) {
			since, said = at, e.Message
		}
	}
	if said == "" {
		return nil
	}
	return r.failsToCreate(w, d.said(said))
}

// failsToCreate is the error of a workload whose pods are refused.
func (r *Restart) failsToCreate(w *workload, said string) error {
	return r.fails(w, "see kubectl describe "+w.kind.name+" "+w.Metadata.Name+" -n "+r.Namespace+", such as a ResourceQuota or an admission policy that refuses its pods", "%w: %s", errRefusedPods, said)
}

func eventsNeed(namespace string) need {
	return need{verbs: []string{"list"}, resource: "events", namespace: namespace, why: "says why the pods of a StatefulSet or a DaemonSet can't be made", occasion: provider.OccasionOption}
}
