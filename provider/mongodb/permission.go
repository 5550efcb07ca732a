package mongodb

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/rota-dev/rota/provider"
)

// grant is a permission's detail: whom it's for, and the database that it's on, "" for
// the cluster.
type grant struct{ Username, Source, Database string }

// Permissions implements [provider.Permitter].
func (s *single) Permissions() []provider.Permission { return s.needs() }

// Permissions implements [provider.Permitter].
func (a *alternating) Permissions() []provider.Permission { return a.needs() }

// needs are what rotating one user takes.
func (s *single) needs() []provider.Permission { return s.users.needs() }

// needs are what rotating a pair takes: it also switches users off and on.
func (a *alternating) needs() []provider.Permission {
	return append(a.users.needs(),
		a.on("changeCustomData", "notes on a user that it's switched off or free"),
		a.on("setAuthenticationRestriction", "switches the previous user off, by where its logins may come from"))
}

func (u *users) needs() []provider.Permission {
	return []provider.Permission{
		u.on("viewUser", "sees which user exists and which password is in force, as SCRAM credentials"),
		u.on("changePassword", "sets the passwords of the database's users"),
		{Action: "inprog", Resource: "the cluster", Why: "sees which users are logged in", For: provider.OccasionOption, Detail: u.grant("")},
	}
}

func (u *users) on(action, why string) provider.Permission {
	return provider.Permission{Action: action, Resource: "database " + u.source, Why: why, Detail: u.grant(u.source)}
}

func (u *users) grant(database string) grant {
	return grant{Username: u.conn.cfg.Username, Source: u.conn.cfg.AuthSource, Database: database}
}

// policy is rota policy mongodb.
func policy() provider.Policy {
	return provider.Policy{
		Summary: "Print the role Rota needs in MongoDB for rota.yaml",
		Help: `Prints commands for mongosh that create a role which allows what rota.yaml makes
Rota do and nothing else, and grant it to the user that Rota logs in as. Run them as
a user administrator. If the role is there already, write updateRole instead of
createRole.

Nothing is looked up in MongoDB. --output text says why each action is needed.`,
		Format:   "js",
		Document: document,
	}
}

// resource is what a role's privilege is on.
type resource struct {
	DB         *string `json:"db,omitempty"`
	Collection *string `json:"collection,omitempty"`
	Cluster    bool    `json:"cluster,omitempty"`
}

type granted struct {
	Resource resource `json:"resource"`
	Actions  []string `json:"actions"`
}

// document is a role for each connection.
func document(grants []provider.Grant, _ func(error)) ([]byte, error) {
	var out bytes.Buffer
	for i, g := range grants {
		if i > 0 {
			out.WriteByte('\n')
		}
		var privileges []string
		for _, p := range privilegesOf(g.Permissions) {
			text, err := json.Marshal(p)
			if err != nil {
				return nil, err
			}
			privileges = append(privileges, "  "+string(text))
		}
		to := g.Permissions[0].Detail.(grant)
		role := "rota_" + g.Name
		_, _ = fmt.Fprintf(&out, "// %s\ndb.getSiblingDB(%q).runCommand({\"createRole\": %q, \"roles\": [], \"privileges\": [\n%s\n]})\n", g.Title, defaultSource, role, strings.Join(privileges, ",\n"))
		user, err := json.Marshal(to.Username)
		if err != nil {
			return nil, err
		}
		_, _ = fmt.Fprintf(&out, "db.getSiblingDB(%q).runCommand({\"grantRolesToUser\": %s, \"roles\": [{\"role\": %q, \"db\": %q}]})\n", to.Source, user, role, defaultSource)
	}
	return out.Bytes(), nil
}

// privilegesOf are the permissions by what they're on, in their order.
func privilegesOf(permissions []provider.Permission) []granted {
	var all []granted
	at := map[string]int{}
	for _, p := range permissions {
		database := p.Detail.(grant).Database
		i, known := at[database]
		if !known {
			on, any := resource{Cluster: true}, ""
			if database != "" {
				on = resource{DB: &database, Collection: &any}
			}
			i, at[database] = len(all), len(all)
			all = append(all, granted{Resource: on})
		}
		if !slices.Contains(all[i].Actions, p.Action) {
			all[i].Actions = append(all[i].Actions, p.Action)
		}
	}
	return all
}
