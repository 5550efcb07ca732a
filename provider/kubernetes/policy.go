package kubernetes

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// policy is rota policy kubernetes.
func policy() provider.Policy {
	account, values := "rota/rota", false
	return provider.Policy{
		Summary: "Print the RBAC Rota needs in Kubernetes for rota.yaml",
		Help: `Prints, for kubectl apply, a Role and a RoleBinding for each namespace that
rota.yaml names, and a ClusterRole for telling clusters apart. They allow what
rota.yaml makes Rota do and nothing else. Each connection's cluster has its own.

Nothing is looked up in a cluster. --output text says why each permission is needed.`,
		Format: "yaml",
		Options: []provider.Option{
			{Name: "service-account", Value: &account, Example: "rota/rota", Usage: "the service account that Rota logs in as, as `NAMESPACE/NAME`"},
			{Name: "helm-values", Value: &values, Usage: "print the same rules as values of Rota's Helm chart, which makes the roles"},
		},
		Validate: func() error {
			if _, _, err := accountOf(account); err != nil {
				return err
			}
			return nil
		},
		Document: func(grants []provider.Grant, _ func(error)) ([]byte, error) {
			if values {
				return chartValues(grants)
			}
			return document(grants, account)
		},
	}
}

func accountOf(text string) (namespace, name string, err error) {
	namespace, name, _ = strings.Cut(text, "/")
	if !goodNamespace(namespace) || !goodName(name) {
		return "", "", rota.WithRemedies(errors.New("--service-account: not a service account"), rota.Command("--service-account rota/rota"))
	}
	return namespace, name, nil
}

// document writes the roles of each connection's login.
func document(grants []provider.Grant, account string) ([]byte, error) {
	namespace, name, err := accountOf(account)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for _, g := range grants {
		rules := byNamespace(g)
		for _, place := range slices.Sorted(maps.Keys(rules)) {
			role(&out, g.Title, place, "rota-"+g.Name, merged(rules[place]), namespace, name)
		}
	}
	return out.Bytes(), nil
}

// role writes a Role, or a ClusterRole for the cluster itself, and its binding.
func role(out *bytes.Buffer, title, place, name string, rules []need, accountNamespace, account string) {
	kind, in := "ClusterRole", ""
	if place != "" {
		kind, in = "Role", "\n  namespace: "+inYAML(place)
	}
	fmt.Fprintf(out, "---\n# %s\napiVersion: rbac.authorization.k8s.io/v1\nkind: %s\nmetadata:\n  name: %s%s\nrules:\n", title, kind, objectName(name), in)
	writeRules(out, "  ", rules)
	fmt.Fprintf(out, "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: %sBinding\nmetadata:\n  name: %s%s\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: %s, name: %s}\nsubjects:\n  - {kind: ServiceAccount, name: %s, namespace: %s}\n",
		kind, objectName(name), in, kind, objectName(name), inYAML(account), inYAML(accountNamespace))
}

// inYAML is a name as YAML has it: quoted where it would be a number, or true or false.
func inYAML(name string) string {
	var v any
	if yaml.Unmarshal([]byte(name), &v) != nil {
		return strconv.Quote(name)
	}
	if _, text := v.(string); !text {
		return strconv.Quote(name)
	}
	return name
}

// objectName is a connection's name as Kubernetes takes it.
func objectName(name string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '.' {
			return r
		}
		return '-'
	}, strings.ToLower(name)), "-.")
}

// merged are the rules with one for each thing, sorted.
func merged(all []need) []need {
	var out []need
	for _, n := range all {
		i := slices.IndexFunc(out, func(o need) bool { return o.group == n.group && o.resource == n.resource && o.name == n.name })
		if i < 0 {
			out, i = append(out, n), len(out)
		}
		verbs := slices.Concat(out[i].verbs, n.verbs)
		slices.Sort(verbs)
		out[i].verbs = slices.Compact(verbs)
	}
	slices.SortFunc(out, func(a, b need) int {
		return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.resource, b.resource), cmp.Compare(a.name, b.name))
	})
	return out
}
