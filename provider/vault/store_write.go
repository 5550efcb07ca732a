package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Put implements [rota.Store].
func (s *Store) Put(ctx context.Context, r rota.PutRequest) error {
	op := "put version " + r.Version
	if r.Version == "" || r.Credential.IsZero() {
		return s.failed(op, errors.New("a version needs an id and a credential"))
	}
	err := s.change(ctx, func(b *both) (string, bool, error) {
		if v, known := b.Versions[r.Version]; known {
			if !r.Credential.Equal(rota.NewCredential(v.Fields)) {
				return "", false, s.failed(op, fmt.Errorf("it exists with another credential: %w", rota.ErrConflict))
			}
			// Its labels may have moved on, but a promotion may be left to do.
			if slices.Contains(r.Labels, rota.LabelCurrent) && slices.ContainsFunc(b.Next, func(n promotion) bool { return n.To == r.Version }) {
				return r.Version, true, nil
			}
			return "", false, nil
		}
		b.Versions[r.Version] = kept{Fields: r.Credential.Fields(), CreatedAt: s.Connection.cfg.Now().UTC()}
		promote := ""
		for _, l := range r.Labels {
			if l == rota.LabelCurrent {
				promote = r.Version
				continue
			}
			b.Labels[l] = r.Version
		}
		return promote, true, nil
	})
	return rota.Sanitize(err, r.Credential)
}

// Move implements [rota.Store]. AWSCURRENT can't be taken off: applications would find
// nothing.
func (s *Store) Move(ctx context.Context, r rota.MoveRequest) error {
	op := fmt.Sprintf("move %s from %q to %q", r.Label, r.From, r.To)
	return s.change(ctx, func(b *both) (string, bool, error) {
		holder := b.holder(r.Label)
		_, known := b.Versions[r.To]
		switch {
		case holder == r.To:
			return "", false, nil
		case holder != r.From:
			return "", false, s.failed(op, fmt.Errorf("it's on %q: %w", holder, rota.ErrConflict))
		case r.To != "" && !known:
			return "", false, s.failed(op, fmt.Errorf("version %s: %w", r.To, rota.ErrNotFound))
		case r.Label == rota.LabelCurrent && r.To == "":
			return "", false, s.Connection.refuse(op, "make another version current instead", errors.New("a secret can't be left without a current version"))
		case r.Label == rota.LabelCurrent:
			return r.To, true, nil
		case r.To == "":
			delete(b.Labels, r.Label)
		default:
			b.Labels[r.Label] = r.To
		}
		return "", true, nil
	})
}

// checkEngine makes sure that the mount is a KV engine of version 2: a store takes no
// other.
func (s *Store) checkEngine(ctx context.Context) error {
	err := s.Connection.checkEngine(ctx, s.Entry)
	if other, ok := errors.AsType[*otherEngine](err); ok {
		return s.Connection.refuse("find the KV engine at "+s.Entry.Mount, "name another mount, or upgrade this one: vault kv enable-versioning "+s.Entry.Mount, fmt.Errorf("it's a KV engine of version %d, and a store needs version 2", other.is))
	}
	return err
}

// Preflight implements [rota.Preflighter].
func (s *Store) Preflight(ctx context.Context) []rota.Finding {
	findings, ok := s.Connection.preflight(ctx, s.needs())
	if !ok {
		return findings
	}
	err := s.checkEngine(ctx)
	var b both
	if err == nil {
		b, err = s.load(ctx)
	}
	findings = append(findings, provider.Found("keep versions in "+s.Entry.String()+" and "+s.State.String(), "", err))
	for _, x := range []struct {
		e    Entry
		ends time.Time
	}{{s.Entry, b.entry.ends}, {s.State, b.stateEnds}} {
		if !x.ends.IsZero() && err == nil {
			findings = append(findings, provider.Warned("Vault keeps "+x.e.String(), "it deletes what's there by itself at "+x.ends.UTC().Format("2006-01-02 15:04 UTC"), "set delete_version_after of the entry and of the engine to 0s, and write the entry again"))
		}
	}
	return findings
}

// needs are the permissions for both entries.
func (s *Store) needs() []need {
	return []need{
		{path: s.Entry.data(), capabilities: []string{"create", "read", "update"}, why: "writes the current credential, and sees what somebody else wrote"},
		{path: s.State.data(), capabilities: []string{"create", "read", "update"}, why: "keeps all versions and their labels"},
		{path: s.metadata(), capabilities: []string{"create", "update"}, why: "has Vault keep no older versions of that"},
		{path: destroyed(s.Entry), capabilities: []string{"update"}, why: "destroys a retired credential's value"},
		{path: destroyed(s.State), capabilities: []string{"update"}, why: "does so if the engine keeps older versions of the state"},
	}
}

// Permissions implements [provider.Permitter].
func (s *Store) Permissions() []provider.Permission { return permissions(s.needs()) }
