package aws

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// proposalOf returns an entry for each user with an active key and no secret.
func proposalOf(file *provider.DiscoveryFile, connections []*Connection, doc discoverDoc) provider.Proposal {
	p := provider.Proposal{Policy: []provider.ProposedKey{
		{Key: "rotate_every", Value: "90d"}, {Key: "deactivate_previous_after", Value: "10d"}, {Key: "delete_previous_after", Value: "20d"},
	}}
	skipped := 0
	type user struct{ account, name string }
	var order []user
	keys := map[user][]discoveredKey{}
	for _, k := range doc.Keys {
		if u := (user{k.Account, k.User}); k.Managed == "" {
			if keys[u] == nil {
				order = append(order, u)
			}
			keys[u] = append(keys[u], k)
		}
	}
	used, taken, entries := map[string]bool{}, map[string]bool{}, map[string]bool{}
	if file != nil {
		for _, name := range file.Secrets {
			taken[name] = true
		}
	}
	for _, u := range order {
		if !slices.ContainsFunc(keys[u], func(k discoveredKey) bool { return k.Active }) {
			continue
		}
		s := proposedSecret(keys[u], entries, doc)
		if !literal(u.name) {
			skipped++
			continue
		}
		entry, from := entryOf(s), ""
		if entry == "" {
			from = " --from -"
		}
		s.Name = freeName(cmp.Or(entry, keys[u][0].Connection+"/"+u.name), taken)
		s.Comment = append(s.Comment, "Next: rota adopt "+s.Name+from)
		used[s.Issuer.Connection] = true
		used[cmp.Or(s.Store.Connection, s.Issuer.Connection)] = true
		p.Secrets = append(p.Secrets, s)
	}
	for _, c := range connections {
		if used[c.Name()] {
			p.Connections = append(p.Connections, provider.ProposedConnection{Name: c.Name(), Keys: connectionKeys(file, c)})
		}
	}
	if skipped > 0 {
		p.LeftOut = fmt.Errorf("left out %s: rota.yaml doesn't allow such a name", plural(skipped, "user"))
	}
	return p
}

// copied are the keys of a connection that a proposal takes over; keyed are those
// that it takes over where the secret ones are references.
var (
	copied = []string{"region", "profile", "role_arn", "external_id", "session_name", "endpoint"}
	keyed  = []string{"access_key_id", "secret_access_key", "session_token"}
)

// connectionKeys are a connection's keys as the file writes them, without
// secrets; those of one that isn't in a file are what it was opened with.
func connectionKeys(file *provider.DiscoveryFile, c *Connection) []provider.ProposedKey {
	written := map[string]string{"region": c.Region(), "role_arn": c.RoleARN(), "external_id": c.ExternalID()}
	take := copied
	if file != nil {
		written = file.Written(c.Name())
		if provider.NamesReference(written["secret_access_key"]) && (written["session_token"] == "" || provider.NamesReference(written["session_token"])) {
			take = slices.Concat(copied, keyed)
		}
	}
	var keys []provider.ProposedKey
	for _, key := range take {
		if written[key] != "" {
			keys = append(keys, provider.ProposedKey{Key: key, Value: written[key]})
		}
	}
	return keys
}

// literal reports whether the file takes a text literally rather than as a
// reference.
func literal(text string) bool { return text != "" && !strings.Contains(text, "${") }

// entryOf returns the Secrets Manager entry of a proposed secret, "" if there's
// none.
func entryOf(s provider.ProposedSecret) string {
	if len(s.Store.Keys) == 0 {
		return ""
	}
	return s.Store.Keys[0].Value.(string)
}

// proposedSecret returns the entry for one user with the given keys. It uses each
// Secrets Manager entry only once.
func proposedSecret(keys []discoveredKey, entries map[string]bool, doc discoverDoc) provider.ProposedSecret {
	s := provider.ProposedSecret{Issuer: provider.ProposedPart{
		Connection: keys[0].Connection, Kind: "iam_access_key", Keys: []provider.ProposedKey{{Key: "user", Value: keys[0].User}},
	}}
	for _, k := range keys {
		line := fmt.Sprintf("%s: %s, made %s, last used: %s", k.KeyID, k.status(), k.Created.Format("2006-01-02"), k.lastUse(doc.At))
		if k.Overdue {
			line += ", overdue"
		}
		s.Comment = append(s.Comment, line)
		for _, h := range k.HeldBy {
			place := h.Connection + "\x00" + h.Secret
			whole := literal(h.IDField) && literal(h.SecretField) && h.IDField != h.SecretField
			switch {
			case !k.Active || entryOf(s) != "" || entries[place]:
				s.Comment = append(s.Comment, fmt.Sprintf("  also in secret %s (%s)", h.Secret, h.Region))
			case !whole:
				s.Comment = append(s.Comment, fmt.Sprintf("  in secret %s (%s), whose value isn't a JSON object with both halves of the key", h.Secret, h.Region))
			default:
				entries[place] = true
				s.Store = provider.ProposedPart{Connection: h.Connection, Kind: "secrets_manager", Keys: []provider.ProposedKey{
					{Key: "name", Value: h.Secret},
					{Key: "fields", Value: []provider.ProposedKey{{Key: h.IDField, Value: rota.FieldAccessKeyID}, {Key: h.SecretField, Value: rota.FieldSecretAccessKey}}},
				}}
			}
		}
	}
	if len(keys) > 1 {
		s.Comment = append(s.Comment, "A user can't have more than two keys: delete the unused one before the first rotation.")
	}
	return s
}

// freeName returns a valid secret name that isn't taken yet.
func freeName(wish string, taken map[string]bool) string {
	clean := strings.Map(func(r rune) rune {
		if strings.ContainsRune("/_+=.@-", r) || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '-'
	}, wish)
	if !provider.GoodName(clean) {
		clean = "iam/user-" + strings.Trim(strings.ReplaceAll(clean, "/", "-"), ".-")
	}
	name := clean
	for n := 2; taken[name]; n++ {
		name = fmt.Sprintf("%s-%d", clean, n)
	}
	taken[name] = true
	return name
}
