package github

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/rota-dev/rota/provider"
)

// allow is a permission of Rota's for what an access reaches.
func allow(a access, p permission, why string) provider.Permission {
	return provider.Permission{Action: p.String(), Resource: a.String(), Why: why, Detail: p}
}

// Permissions implements [provider.Permitter].
func (t *Secrets) Permissions() []provider.Permission {
	a := t.place().access(write)
	needs := []provider.Permission{allow(a, a.needs[0], "writes the secrets, and sees when they were changed")}
	if t.NoWait {
		return needs
	}
	return append(needs, runsPermissions(t.Place, t.WaitFor)...)
}

// Permissions implements [provider.Permitter].
func (t *Variables) Permissions() []provider.Permission {
	a := t.access()
	needs := []provider.Permission{allow(a, a.needs[0], "reads and writes the variables")}
	if t.NoWait {
		return needs
	}
	return append(needs, runsPermissions(t.Place, t.WaitFor)...)
}

// Permissions implements [provider.Permitter].
func (w *Workflow) Permissions() []provider.Permission {
	ref := allow(w.access(read), permission{"contents", read}, "sees whether the ref is there before a rotation")
	ref.For = provider.OccasionCheck
	return []provider.Permission{allow(w.access(write), permission{"actions", write}, "starts the workflow, and waits for its run"), ref}
}

// Permissions implements [provider.Permitter].
func (d *DeployKeys) Permissions() []provider.Permission {
	return []provider.Permission{allow(d.access(write), permission{"administration", write}, "adds, lists and deletes deploy keys")}
}

// runsPermissions are what it takes to see who still holds an old value.
func runsPermissions(p Place, waitFor []string) []provider.Permission {
	why := "waits for workflow runs that began with an old value"
	actions := permission{"actions", read}
	switch {
	case len(waitFor) > 0:
		var needs []provider.Permission
		for _, one := range waitFor {
			if owner, name, err := ParseRepository(one); err == nil {
				needs = append(needs, allow(access{owner: owner, repository: name}, actions, why))
			}
		}
		return needs
	case p.Repository != "":
		return []provider.Permission{allow(access{owner: p.Owner, repository: p.Repository}, actions, why)}
	}
	return []provider.Permission{
		allow(access{owner: p.Owner}, actions, why),
		allow(access{owner: p.Owner}, permission{"metadata", read}, "lists the repositories of the organization"),
	}
}

// policy is rota policy github.
func policy() provider.Policy {
	return provider.Policy{
		Summary: "Print the permissions Rota needs at GitHub for rota.yaml",
		Help: `Prints the permissions that what rota.yaml makes Rota do needs at GitHub, and
nothing else, by repository and organization. A fine-grained personal access token
and a GitHub App have the same ones, under the same names. An App asks for less
than it has: each of its tokens is for one repository and one permission.

Nothing is looked up at GitHub. --output text says why each permission is needed.`,
		Format:   "list",
		Document: document,
	}
}

// document lists the permissions of each connection, each once, by what they're for.
func document(grants []provider.Grant, _ func(error)) ([]byte, error) {
	var out bytes.Buffer
	for i, g := range grants {
		if i > 0 {
			out.WriteByte('\n')
		}
		_, _ = fmt.Fprintf(&out, "# %s\n", g.Title)
		var resources []string
		needs := map[string][]string{}
		for _, p := range g.Permissions {
			if !slices.Contains(resources, p.Resource) {
				resources = append(resources, p.Resource)
			}
			needs[p.Resource] = append(needs[p.Resource], p.Action)
		}
		for _, resource := range resources {
			_, _ = fmt.Fprintf(&out, "%s\n", resource)
			slices.Sort(needs[resource])
			for _, action := range slices.Compact(needs[resource]) {
				if read, ok := strings.CutSuffix(action, ": read"); ok && slices.Contains(needs[resource], read+": write") {
					continue
				}
				_, _ = fmt.Fprintf(&out, "  %s\n", action)
			}
		}
	}
	return out.Bytes(), nil
}
