package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/internal/proposal"
	"github.com/rota-dev/rota/provider/aws"
)

// propose writes a rota.yaml for the active keys that nothing manages.
func (a *app) propose(file *config.File, connections []*aws.Connection, doc discoverDoc, o discoverOptions) error {
	p, skipped := proposalOf(file, connections, doc)
	p.Catalog = a.catalog
	p.Head = []string{
		"Proposed by rota discover aws. Review it, then run rota validate, rota check,",
		"and rota adopt NAME for each secret, as its comment says. Nothing is rotated before that.",
	}
	if len(p.Secrets) == 0 {
		a.note("rota: nothing to propose: rota.yaml manages every user with an active key")
		return nil
	}
	text, err := p.YAML()
	if err != nil {
		return err
	}
	if skipped > 0 {
		a.note("rota: left out %s: rota.yaml doesn't allow such a name", plural(skipped, "user"))
	}
	if o.write == "-" {
		_, err := a.Stdout.Write(text)
		return err
	}
	err = writeNew(o.write, text)
	if errors.Is(err, fs.ErrExist) {
		return rota.WithRemedies(usage("%s already exists and is never overwritten", o.write), rota.Command("another name, and copy what you want"))
	}
	if err != nil {
		return refused(err)
	}
	a.note("wrote %s, with %s. Next: review it, then run rota validate and rota check -c %s", o.write, plural(len(p.Secrets), "secret"), o.write)
	return nil
}

// proposalOf is an entry for each user who has an active key and no secret.
func proposalOf(file *config.File, connections []*aws.Connection, doc discoverDoc) (p proposal.Proposal, skipped int) {
	p.From = file
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
		for _, name := range file.Names() {
			taken[name] = true
		}
	}
	for _, u := range order {
		if !slices.ContainsFunc(keys[u], func(k discoveredKey) bool { return k.Active }) {
			continue
		}
		s := proposedSecret(keys[u], entries, doc)
		if !proposal.Literal(u.name) {
			skipped++
			continue
		}
		s.Name = freeName(cmp.Or(s.Entry, keys[u][0].Connection+"/"+u.name), taken)
		adopt := "rota adopt " + s.Name
		if s.Entry == "" {
			adopt += " --from -"
		}
		s.Comment = append(s.Comment, "Next: "+adopt)
		used[s.Connection] = true
		used[cmp.Or(s.EntryConnection, s.Connection)] = true
		p.Secrets = append(p.Secrets, s)
	}
	for _, c := range connections {
		if used[c.Name()] {
			p.Connections = append(p.Connections, proposal.Connection{Name: c.Name(), Region: c.Region(), RoleARN: c.RoleARN(), ExternalID: c.ExternalID()})
		}
	}
	return p, skipped
}

// proposedSecret is the entry for one user with the given keys. It uses each
// Secrets Manager entry only once.
func proposedSecret(keys []discoveredKey, entries map[string]bool, doc discoverDoc) proposal.Secret {
	s := proposal.Secret{Connection: keys[0].Connection, User: keys[0].User}
	for _, k := range keys {
		line := fmt.Sprintf("%s: %s, made %s, last used: %s", k.KeyID, k.status(), k.Created.Format("2006-01-02"), k.lastUse(doc.At))
		if k.Overdue {
			line += ", overdue"
		}
		s.Comment = append(s.Comment, line)
		for _, h := range k.HeldBy {
			place := h.Connection + "\x00" + h.Secret
			whole := proposal.Literal(h.IDField) && proposal.Literal(h.SecretField) && h.IDField != h.SecretField
			switch {
			case !k.Active || s.Entry != "" || entries[place]:
				s.Comment = append(s.Comment, fmt.Sprintf("  also in secret %s (%s)", h.Secret, h.Region))
			case !whole:
				s.Comment = append(s.Comment, fmt.Sprintf("  in secret %s (%s), whose value isn't a JSON object with both halves of the key", h.Secret, h.Region))
			default:
				entries[place] = true
				s.Entry, s.IDField, s.SecretField = h.Secret, h.IDField, h.SecretField
				if h.Connection != s.Connection {
					s.EntryConnection = h.Connection
				}
			}
		}
	}
	if len(keys) > 1 {
		s.Comment = append(s.Comment, "A user can't have more than two keys: delete the unused one before the first rotation.")
	}
	return s
}

// freeName is a valid secret name that isn't taken yet.
func freeName(wish string, taken map[string]bool) string {
	clean := strings.Map(func(r rune) rune {
		if strings.ContainsRune("/_+=.@-", r) || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '-'
	}, wish)
	if !config.GoodName(clean) {
		clean = "iam/user-" + strings.Trim(strings.ReplaceAll(clean, "/", "-"), ".-")
	}
	name := clean
	for n := 2; taken[name]; n++ {
		name = fmt.Sprintf("%s-%d", clean, n)
	}
	taken[name] = true
	return name
}
