package vault

import (
	"context"
	"encoding/json"
	"net/http"
	"path"

	"github.com/rota-dev/rota"
)

// save writes the state, without the versions that nobody needs any more, and destroys
// what the entry's own history has of those.
func (s *Store) save(ctx context.Context, b *both) error {
	for id, v := range b.Versions {
		if b.wanted(id) {
			continue
		}
		if err := s.destroy(ctx, v, b.entry.version); err != nil {
			return err
		}
		delete(b.Versions, id)
	}
	if b.serial == 0 {
		k := call{op: "keep only the latest version of " + s.State.String(), method: http.MethodPost, path: s.metadata(), body: map[string]any{"max_versions": 1, "cas_required": true}, allow: "create and update"}
		if _, err := s.Connection.do(ctx, k, nil); err != nil {
			return err
		}
	}
	b.ChangedAt = s.Connection.cfg.Now().UTC()
	text, err := json.Marshal(b.state)
	if err != nil {
		return err
	}
	var all []rota.Credential
	for _, v := range b.Versions {
		all = append(all, rota.NewCredential(v.Fields))
	}
	if err := s.Connection.write(ctx, s.State, snapshot{version: b.serial}, values{stateKey: text}, all...); err != nil {
		return raced(err)
	}
	s.forget(ctx, b.serial)
	return nil
}

// olderStates is how far back older states are destroyed: as many as were left because
// that failed.
const olderStates = 50

// forget destroys the states up to a version if Vault keeps them. It does if the
// engine's own max_versions is larger than the entry's. Best effort: the next write does
// it, and rota check says if it's not allowed.
func (s *Store) forget(ctx context.Context, latest int64) {
	if latest == 0 {
		return
	}
	was, err := s.Connection.readVersion(ctx, s.State, latest)
	if err != nil || was.values == nil && !was.deleted {
		return
	}
	var serials []int64
	for n := max(1, latest-olderStates); n <= latest; n++ {
		serials = append(serials, n)
	}
	_, _ = s.Connection.do(ctx, call{op: "destroy old versions of " + s.State.String(), method: http.MethodPost, path: destroyed(s.State), body: map[string]any{"versions": serials}}, nil)
}

// destroy destroys the versions of the entry that hold a value, but for the entry's
// latest. It looks first: the numbers are others' if the entry's metadata was deleted
// and Vault counts from 1 again, or if somebody wrote them into the state.
func (s *Store) destroy(ctx context.Context, v kept, latest int64) error {
	var serials []int64
	for _, n := range v.Serials {
		if n == latest {
			continue
		}
		was, err := s.Connection.readVersion(ctx, s.Entry, n)
		if err != nil {
			return err
		}
		if was.deleted || was.values != nil && v.is(was.values) {
			serials = append(serials, n)
		}
	}
	if len(serials) == 0 {
		return nil
	}
	_, err := s.Connection.do(ctx, call{op: "destroy old versions of " + s.Entry.String(), method: http.MethodPost, path: destroyed(s.Entry), body: map[string]any{"versions": serials}}, nil)
	return err
}

func (s *Store) metadata() string { return path.Join(s.State.Mount, "metadata", s.State.Path) }

// destroyed is the path where versions of an entry are destroyed.
func destroyed(e Entry) string { return path.Join(e.Mount, "destroy", e.Path) }
