package github

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	api "github.com/google/go-github/v93/github"
)

// access is what a call is for: whose installation of the App answers for it, and
// the permissions that it needs.
type access struct {
	owner string
	// repository is its name without the owner, "" for the organization as a whole.
	repository string
	needs      []permission
	// asApp means that the App itself makes the call, not an installation of it.
	asApp bool
}

// permission is one of GitHub's, such as {"secrets", "write"}, as its API calls it.
// Personal access tokens with fine-grained permissions have the same.
type permission struct{ name, level string }

// The levels.
const (
	read  = "read"
	write = "write"
)

// permissionNames are the permissions' names in GitHub's settings.
var permissionNames = map[string]string{ //nolint:gosec // names of permissions
	"actions":                         "Actions",
	"actions_variables":               "Variables",
	"administration":                  "Administration",
	"codespaces_secrets":              "Codespaces secrets",
	"contents":                        "Contents",
	"dependabot_secrets":              "Dependabot secrets",
	"environments":                    "Environments",
	"metadata":                        "Metadata",
	"secrets":                         "Secrets",
	"organization_actions_variables":  "Variables (of the organization)",
	"organization_codespaces_secrets": "Organization codespaces secrets",
	"organization_dependabot_secrets": "Organization dependabot secrets",
	"organization_secrets":            "Secrets (of the organization)",
}

// String is the permission for people: "Secrets: write".
func (p permission) String() string {
	name, ok := permissionNames[p.name]
	if !ok {
		name = strings.ReplaceAll(p.name, "_", " ")
	}
	return name + ": " + p.level
}

// names are the permissions for people.
func names(needs []permission) string {
	var all []string
	for _, p := range needs {
		all = append(all, p.String())
	}
	return strings.Join(all, " and ")
}

// with is the access with other permissions.
func (a access) with(needs ...permission) access {
	a.needs = needs
	return a
}

// key tells accesses apart that need different tokens.
func (a access) key() string {
	parts := []string{strings.ToLower(a.owner), strings.ToLower(a.repository)}
	for _, p := range a.needs {
		parts = append(parts, p.name+"="+p.level)
	}
	return strings.Join(parts, "\x00")
}

// permissions are the needs in the client's form.
func (a access) permissions() *api.InstallationPermissions {
	levels := map[string]string{}
	for _, p := range a.needs {
		levels[p.name] = p.level
	}
	text, _ := json.Marshal(levels)
	p := new(api.InstallationPermissions)
	_ = json.Unmarshal(text, p) // the names are those of its tags
	return p
}

type accessKey struct{}

// in gives the access to the requests of a context.
func (a access) in(ctx context.Context) context.Context {
	return context.WithValue(ctx, accessKey{}, a)
}

func accessOf(ctx context.Context) access {
	a, _ := ctx.Value(accessKey{}).(access)
	return a
}

// accepted reads what GitHub says a refused request needs: sets of permissions,
// each of which would do. It returns nil if it says nothing that's known.
func accepted(header string) []permission {
	for set := range strings.SplitSeq(header, ";") {
		var needs []permission
		for one := range strings.SplitSeq(set, ",") {
			name, level, _ := strings.Cut(strings.TrimSpace(one), "=")
			if _, known := permissionNames[name]; !known || !slices.Contains([]string{read, write, "admin"}, level) {
				needs = nil
				break
			}
			if name != "metadata" { // which every token has
				needs = append(needs, permission{name, level})
			}
		}
		if len(needs) > 0 {
			return needs
		}
	}
	return nil
}
