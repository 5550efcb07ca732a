package kubernetes

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Preflight implements [rota.Preflighter]. The write is tried with values that aren't
// any, as a dry run: the API server then checks the login's rights, quota and admission
// as for a real one, and keeps nothing.
func (t *Secret) Preflight(ctx context.Context) []rota.Finding {
	check := "write " + t.String()
	was, exists, err := t.Connection.readSecret(ctx, t.Namespace, t.Object)
	if err == nil && exists {
		err = t.clash(was, "")
	}
	if err == nil {
		err = t.apply(ctx, was, nil, t.Content.sample(), rota.Credential{}, true)
	}
	if err != nil {
		return []rota.Finding{provider.Found(check, "", err)}
	}
	detail := "it's created by the first delivery"
	if exists {
		detail = t.kept(was)
	}
	findings := append(t.Connection.insecure(), provider.Found(check, detail, nil))
	if !t.NoWait {
		if _, err := t.Connection.listPods(ctx, t.Namespace, ""); err != nil {
			findings = append(findings, provider.Found("list the pods of namespace "+t.Namespace, "", err))
		}
	}
	if drifted := was.drifted(t.Content.keys()); len(drifted) > 0 {
		findings = append(findings, provider.Warned("the values of "+t.String(), "others have written since Rota did: "+strings.Join(drifted, ", "),
			"deliver the credential again, and find out what writes there"))
	}
	return findings
}

// kept says what a delivery leaves alone.
func (t *Secret) kept(was secret) string {
	wanted, others := t.Content.keys(), 0
	for key := range was.Data {
		if len(wanted) > 0 && !slices.Contains(wanted, key) && !slices.Contains(was.ours(), key) {
			others++
		}
	}
	switch {
	case was.Metadata.Labels[labelManaged] != "true" && others > 0:
		return fmt.Sprintf("it's taken over, and keeps %d keys of others", others)
	case was.Metadata.Labels[labelManaged] != "true":
		return "it's taken over"
	case others > 0:
		return fmt.Sprintf("it keeps %d keys of others", others)
	}
	return ""
}

func readNeed(namespace, name string) need {
	return need{verbs: []string{"get"}, resource: "secrets", name: name, namespace: namespace, why: "sees what the Secret holds, and whose it is"}
}

func writeNeed(namespace, name string) need {
	return need{verbs: []string{"create", "patch"}, resource: "secrets", name: name, namespace: namespace, why: "writes the credential into it, by server-side apply"}
}

// Permissions implements [provider.Permitter].
func (t *Secret) Permissions() []provider.Permission {
	needs := []need{readNeed(t.Namespace, t.Object), writeNeed(t.Namespace, t.Object)}
	if !t.NoWait {
		needs = append(needs, podsNeed(t.Namespace))
	}
	return permissions(needs...)
}
