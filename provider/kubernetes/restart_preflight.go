package kubernetes

import (
	"context"
	"errors"
	"fmt"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Preflight implements [rota.Preflighter]. The restart is tried as a dry run.
func (r *Restart) Preflight(ctx context.Context) []rota.Finding {
	check := "find the workloads in namespace " + r.Namespace
	all, err := r.find(ctx)
	if err != nil {
		return []rota.Finding{provider.Found(check, "", err)}
	}
	var s secret
	if r.Secret != "" { // which a target may be about to make
		if s, _, err = r.Connection.readSecret(ctx, r.Namespace, r.Secret); err != nil {
			return []rota.Finding{provider.Found("read Secret "+r.Namespace+"/"+r.Secret, "", err)}
		}
	}
	var synced []rota.Finding
	if r.ExternalSecret != "" {
		synced = append(synced, r.preflightSync(ctx))
	}
	if len(all) == 0 {
		return append(synced, provider.Warned(check, "none reads Secret "+r.Secret, "correct the namespace or the secret, or name the workloads if they read it in another way"))
	}
	findings := append(append(r.Connection.insecure(), synced...), provider.Found(check, fmt.Sprintf("%d read it or are named", len(all)), nil))
	for _, w := range all {
		findings = append(findings, r.preflight(ctx, w, s))
	}
	_, err = r.Connection.listPods(ctx, r.Namespace, all[0].Spec.Selector.String())
	return append(findings, provider.Found("list the pods of namespace "+r.Namespace, "", err))
}

func (r *Restart) preflight(ctx context.Context, w *workload, s secret) rota.Finding {
	check := "restart " + r.Namespace + "/" + w.String()
	switch {
	case !r.restarts(w):
		return provider.Found(check, "it only mounts the Secret: no restart, Rota waits for the kubelets", nil)
	case w.reloadedByOther(s):
		return provider.Found(check, "Reloader restarts it: Rota waits for the rollout", nil)
	case w.replicaless() != "":
		return provider.Found(check, w.replicaless(), nil)
	}
	_, err := r.Connection.getWorkload(ctx, r.Namespace, w.kind, w.Metadata.Name) // a reload does
	if r.gone(err) {
		return provider.Found(check, "it's gone by now", nil)
	}
	if err == nil {
		err = r.obstacle(w)
	}
	if err == nil {
		err = r.patch(ctx, w, delivered{key: r.Secret, state: "dry run"}, true)
	}
	if errors.Is(err, rota.ErrConflict) {
		err = nil // it has changed since it was read, and so may be patched
	}
	return provider.Found(check, "", err)
}

// workloadNeed is what one call for a workload takes.
func (r *Restart) workloadNeed(k kind, name string, verbs ...string) need {
	return need{verbs: verbs, group: k.group, resource: k.resource, name: name, namespace: r.Namespace, why: "restarts the workload and sees how that goes"}
}

// Permissions implements [provider.Permitter].
func (r *Restart) Permissions() []provider.Permission {
	needs := []need{podsNeed(r.Namespace), logsNeed(r.Namespace), eventsNeed(r.Namespace)}
	if r.Secret != "" {
		n := readNeed(r.Namespace, r.Secret)
		n.why = "sees when the Secret was written"
		needs = append(needs, n)
	}
	if r.ExternalSecret != "" {
		needs = append(needs, r.syncNeed())
	}
	for _, w := range r.Workloads {
		k, _ := w.kind()
		needs = append(needs, r.workloadNeed(k, w.Name, "get", "patch"))
	}
	if len(r.Workloads) == 0 {
		for _, k := range kinds {
			needs = append(needs, r.workloadNeed(k, "", "get", "list", "patch"))
		}
	}
	return permissions(needs...)
}
