package kubernetes

import (
	"context"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Preflight implements [rota.Preflighter]. Nothing is made: the Secret and the token are
// dry runs, and the token that's reviewed isn't one.
func (t *Tokens) Preflight(ctx context.Context) []rota.Finding {
	there, err := t.bindings(ctx)
	findings := append(t.Connection.insecure(), provider.Found("read the Secrets of "+t.account(), "", err))
	if err != nil {
		return findings
	}
	if len(there) < tokenSlots {
		_, err = t.bind(ctx, t.ServiceAccount+".rota-check", "", t.Connection.now(), true)
		findings = append(findings, provider.Found("create a Secret in namespace "+t.Namespace, "", err))
	}
	_, err = t.request(ctx, "try to create a token of "+t.account(), nil, true)
	findings = append(findings, provider.Found("create a token of "+t.account(), "", err))
	_, err = t.review(ctx, "review a token of "+t.account(), rota.NewCredential(map[string]string{FieldToken: "rota-check"}))
	return append(findings, provider.Found("review tokens", "", err))
}

func (t *Tokens) slotNeed(name string) need {
	return need{verbs: []string{"get", "patch", "delete"}, resource: "secrets", name: name, namespace: t.Namespace, why: "a token ends with the Secret that it's bound to"}
}

func (t *Tokens) createNeed() need {
	return need{verbs: []string{"create"}, resource: "secrets", namespace: t.Namespace, why: "makes the Secret that a token is bound to; RBAC can't limit this to a name"}
}

func (t *Tokens) tokenNeed() need {
	return need{verbs: []string{"create"}, resource: "serviceaccounts/token", name: t.ServiceAccount, namespace: t.Namespace, why: "makes the tokens"}
}

var reviewNeed = need{verbs: []string{"create"}, group: "authentication.k8s.io", resource: "tokenreviews", why: "tests a token"}

// Permissions implements [provider.Permitter].
func (t *Tokens) Permissions() []provider.Permission {
	needs := []need{t.createNeed(), t.tokenNeed(), reviewNeed}
	for _, name := range t.slots() {
		needs = append(needs, t.slotNeed(name))
	}
	return permissions(needs...)
}
