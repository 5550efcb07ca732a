package kubernetes

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// annotationSync makes External Secrets read at once: it syncs whenever an annotation
// changes, and its documentation names this one.
const annotationSync = "force-sync"

// externalSecret is as much of one as Rota looks at.
type externalSecret struct {
	Spec struct {
		RefreshPolicy string `json:"refreshPolicy"`
		Target        struct {
			Name string `json:"name"`
		} `json:"target"`
	} `json:"spec"`
	Status struct {
		Conditions []condition `json:"conditions"`
	} `json:"status"`
}

// requestSync asks External Secrets to read what the Secret is made of.
func (r *Restart) requestSync(ctx context.Context, dry bool) (e externalSecret, err error) {
	op, query := "sync ", url.Values{"fieldManager": {manager}}
	if dry {
		op = "try to sync "
		query.Set("dryRun", "All")
	}
	q, err := r.syncRequest(ctx, op)
	if err != nil {
		return e, err
	}
	q.method, q.form, q.query = http.MethodPatch, mergePatch, query
	q.body = map[string]any{"metadata": map[string]any{"annotations": map[string]string{annotationSync: strconv.FormatInt(r.Connection.now().UnixNano(), 10)}}}
	err = r.Connection.do(ctx, q, &e)
	return e, err
}

// unsynced is why External Secrets can't sync, as it says itself, "" if it doesn't say.
func (r *Restart) unsynced(ctx context.Context) string {
	if r.ExternalSecret == "" {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second) // ctx is over
	defer cancel()
	q, err := r.syncRequest(ctx, "read ")
	var e externalSecret
	if err != nil || r.Connection.do(ctx, q, &e) != nil {
		return ""
	}
	for _, c := range e.Status.Conditions {
		if c.Type == "Ready" && c.Status == "False" {
			return strings.TrimSpace(c.Reason + ": " + c.Message)
		}
	}
	return ""
}

// syncRequest reads the ExternalSecret, in the version of the API that the cluster
// prefers: older ones have v1beta1 alone.
func (r *Restart) syncRequest(ctx context.Context, op string) (request, error) {
	var group struct {
		Preferred struct {
			Version string `json:"version"`
		} `json:"preferredVersion"`
	}
	base := "/apis/" + groupExternalSecrets
	q := request{op: op + "ExternalSecret " + r.Namespace + "/" + r.ExternalSecret, kind: "APIGroup", need: r.syncNeed(), path: base}
	if err := r.Connection.do(ctx, q, &group); err != nil {
		return q, err
	}
	q.kind, q.path = "ExternalSecret", base+"/"+group.Preferred.Version+"/namespaces/"+r.Namespace+"/externalsecrets/"+r.ExternalSecret
	return q, nil
}

func (r *Restart) syncNeed() need {
	return need{verbs: []string{"get", "patch"}, group: groupExternalSecrets, resource: "externalsecrets", name: r.ExternalSecret, namespace: r.Namespace, why: "has External Secrets read the new version at once"}
}

// preflightSync tries to ask for a sync.
func (r *Restart) preflightSync(ctx context.Context) rota.Finding {
	check := "sync ExternalSecret " + r.Namespace + "/" + r.ExternalSecret
	e, err := r.requestSync(ctx, true)
	to := e.Spec.Target.Name
	if to == "" {
		to = r.ExternalSecret
	}
	switch {
	case err != nil:
	case to != r.Secret:
		err = r.Connection.refuse(check, rota.Configure("external_secret", "the one whose target is "+r.Secret), fmt.Errorf("it writes Secret %s", to))
	case e.Spec.RefreshPolicy == "CreatedOnce":
		err = r.Connection.refuse(check, rota.Outside("set its refreshPolicy to Periodic or OnChange"), fmt.Errorf("its refreshPolicy is CreatedOnce, so the Secret never gets a new version"))
	}
	return provider.Found(check, "", err)
}
