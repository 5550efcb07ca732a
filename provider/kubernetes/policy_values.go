package kubernetes

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// chartValues writes one connection's rules as values of Rota's Helm chart, which
// makes the roles of them. A chart is installed in one cluster, so several connections
// can't share them.
func chartValues(grants []provider.Grant) ([]byte, error) {
	if len(grants) > 1 {
		var names []string
		for _, g := range grants {
			names = append(names, g.Name)
		}
		return nil, rota.WithRemedies(fmt.Errorf("the connections %s are logins of their own, and a chart has one", strings.Join(names, " and ")),
			rota.Command("--connection "+names[0]))
	}
	if len(grants) == 0 {
		return nil, errors.New("nothing needs a permission")
	}
	places := byNamespace(grants[0])
	var out bytes.Buffer
	fmt.Fprintf(&out, "# %s\nrbac:\n", grants[0].Title)
	if rules := merged(places[""]); len(rules) > 0 {
		out.WriteString("  clusterRules:\n")
		writeRules(&out, "    ", rules)
	}
	delete(places, "")
	if len(places) > 0 {
		out.WriteString("  namespaces:\n")
	}
	for _, place := range slices.Sorted(maps.Keys(places)) {
		fmt.Fprintf(&out, "    %s:\n", inYAML(place))
		writeRules(&out, "      ", merged(places[place]))
	}
	return out.Bytes(), nil
}

// byNamespace are what a login needs in each namespace, and in the cluster itself under
// "".
func byNamespace(g provider.Grant) map[string][]need {
	rules := map[string][]need{}
	for _, p := range g.Permissions {
		if n, ok := p.Detail.(need); ok {
			rules[n.namespace] = append(rules[n.namespace], n)
		}
	}
	return rules
}

func writeRules(out *bytes.Buffer, indent string, rules []need) {
	for _, n := range rules {
		fmt.Fprintf(out, "%s- apiGroups: [%q]\n%s  resources: [%s]\n", indent, n.group, indent, n.resource)
		if n.name != "" {
			fmt.Fprintf(out, "%s  resourceNames: [%s]\n", indent, inYAML(n.name))
		}
		fmt.Fprintf(out, "%s  verbs: [%s]\n", indent, strings.Join(n.verbs, ", "))
	}
}
