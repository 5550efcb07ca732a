package redis

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/rota-dev/rota/provider"
)

// Permissions implements [provider.Permitter]. The detail of each is Rota's own
// user.
func (u *user) Permissions() []provider.Permission {
	on := "user " + u.name
	needs := []provider.Permission{
		{Action: "+acl|setuser", Resource: on, Why: "adds and removes passwords; Redis can't limit this to some users, so whoever has it can do anything"},
		{Action: "+acl|getuser", Resource: on, Why: "sees which passwords exist, as SHA-256"},
		{Action: "+client|list", Why: "sees who is connected before it removes a password"},
		{Action: "+info", Why: "recognizes the server, and finds out where it keeps users"},
	}
	save := provider.Permission{Action: "+acl|save", Why: "has the server write users to its ACL file"}
	rewrite := provider.Permission{Action: "+config|rewrite", Why: "has the server write users to its configuration file"}
	dryRun := provider.Permission{Action: "+acl|dryrun", For: provider.OccasionCheck, Why: "finds out whether it may have users written down, without doing it"}
	switch u.conn.cfg.Persist {
	case PersistNone:
	case PersistACL:
		needs = append(needs, save, dryRun)
	case PersistConfig:
		needs = append(needs, rewrite, dryRun)
	default:
		needs = append(needs, provider.Permission{Action: "+config|get", Why: "finds out whether the server has an ACL file; not needed with persist"}, save, rewrite, dryRun)
	}
	for i := range needs {
		needs[i].Detail = u.conn.cfg.Username
	}
	return needs
}

// policy is rota policy redis.
func policy() provider.Policy {
	return provider.Policy{
		Summary: "Print the ACL rules Rota needs in Redis or Valkey for rota.yaml",
		Help: `Prints the commands that allow what rota.yaml makes Rota do and nothing else,
for redis-cli. Run them on every server of the connection, as a user who may
change users, and have the server write them down (ACL SAVE or CONFIG REWRITE).
The user that Rota logs in as needs a password besides.

Nothing is looked up in Redis. --output text says why each permission is needed.`,
		Format:   "acl",
		Document: document,
	}
}

// document is one command for each connection's user.
func document(grants []provider.Grant, _ func(error)) ([]byte, error) {
	var out bytes.Buffer
	for _, g := range grants {
		if len(g.Permissions) == 0 {
			continue
		}
		var rules []string
		for _, p := range g.Permissions {
			if !slices.Contains(rules, p.Action) {
				rules = append(rules, p.Action)
			}
		}
		_, _ = fmt.Fprintf(&out, "ACL SETUSER %s on resetkeys resetchannels -@all %s\n", g.Permissions[0].Detail, strings.Join(rules, " "))
	}
	return out.Bytes(), nil
}
