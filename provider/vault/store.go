package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Store keeps a secret's versions in two entries of a KV v2 engine.
//
// One, Entry, holds the current credential's fields and nothing else: that's what
// applications read. The other, State, holds all versions with their labels, and is
// Rota's alone. Both are written with check-and-set. The entry decides which version is
// current. Before a promotion writes the new value to it, the state says which version
// that would make current. So a promotion happens in one write, and whoever is stopped
// before or after it leaves both entries in order.
type Store struct {
	Connection   *Connection
	Entry, State Entry // of version 2, in one engine
}

var (
	_ rota.Store         = (*Store)(nil)
	_ rota.Preflighter   = (*Store)(nil)
	_ provider.Permitter = (*Store)(nil)
)

// state is what the State entry holds.
type state struct {
	Versions map[string]kept       `json:"versions"`
	Labels   map[rota.Label]string `json:"labels"` // the version that each is on, but for AWSCURRENT
	// Current is the version that the entry held when it had that serial number.
	Current string `json:"current,omitempty"`
	Serial  int64  `json:"serial,omitempty"`
	// Next are promotions that were begun: once the entry has the serial number and
	// holds the version's value, that's the current one.
	Next      []promotion `json:"next,omitempty"`
	ChangedAt time.Time   `json:"changed_at"`
}

// kept is a version.
type kept struct {
	Fields    map[string]string `json:"fields"`
	CreatedAt time.Time         `json:"created_at"`
	// Serials are the entry's own versions that hold it. They're destroyed with it.
	Serials []int64 `json:"serials,omitempty"`
}

type promotion struct {
	To     string `json:"to"`
	Serial int64  `json:"serial"`
}

// both is what the two entries hold.
type both struct {
	state
	serial  int64 // of State
	entry   snapshot
	current string // "" for none
}

// load reads both entries, and finds out which version is current. What looks like
// somebody else's value may be one that was promoted between the two reads: then the
// state has changed.
func (s *Store) load(ctx context.Context) (both, error) {
	before := int64(-1)
	for range maxStoreRaces {
		b, err := s.look(ctx)
		if err != nil {
			return both{}, err
		}
		if _, known := b.Versions[b.current]; known || b.current == "" || b.serial == before {
			return b, nil
		}
		before = b.serial
	}
	return both{}, s.failed("read both entries", errRace)
}

// look is one look at both entries.
func (s *Store) look(ctx context.Context) (both, error) {
	was, err := s.Connection.read(ctx, s.State)
	if err != nil {
		return both{}, err
	}
	entry, err := s.Connection.read(ctx, s.Entry)
	if err != nil {
		return both{}, err
	}
	b := both{serial: was.version, entry: entry}
	if text, ok := was.values[stateKey]; ok {
		if json.Unmarshal(text, &b.state) != nil {
			return both{}, s.Connection.refuse("read "+s.State.String(), "restore an earlier version of the entry: somebody else wrote it", errUnreadable)
		}
	} else if len(was.values) > 0 {
		return both{}, s.Connection.refuse("read "+s.State.String(), "choose another state_path: this entry is somebody else's", errors.New("it doesn't hold a secret's versions"))
	}
	if b.Versions == nil {
		b.Versions, b.Labels = map[string]kept{}, map[rota.Label]string{}
	}
	b.current, err = b.holds()
	if err != nil {
		return both{}, s.Connection.refuse("read "+s.Entry.String(), "vault kv undelete it, or write its value again", err)
	}
	return b, nil
}

// stateKey is the only key of the State entry.
const stateKey = "rota"

// Describe implements [rota.Store].
func (s *Store) Describe(ctx context.Context) (rota.Contents, error) {
	b, err := s.load(ctx)
	if err != nil {
		return rota.Contents{}, err
	}
	contents := rota.Contents{ChangedAt: b.ChangedAt}
	if b.entry.created.After(b.ChangedAt) {
		contents.ChangedAt = b.entry.created
	}
	b.settle()
	for _, id := range slices.Sorted(maps.Keys(b.Versions)) {
		if labels := b.labels(id); len(labels) > 0 {
			contents.Versions = append(contents.Versions, rota.Version{ID: id, Labels: labels, CreatedAt: b.Versions[id].CreatedAt})
		}
	}
	return contents, nil
}

// Get implements [rota.Store].
func (s *Store) Get(ctx context.Context, r rota.GetRequest) (rota.Credential, error) {
	b, err := s.load(ctx)
	if err != nil {
		return rota.Credential{}, err
	}
	b.settle()
	v, known := b.Versions[r.Version]
	if !known {
		return rota.Credential{}, s.failed("read version "+r.Version, rota.ErrNotFound)
	}
	return rota.NewCredential(v.Fields), nil
}

func (s *Store) failed(op string, err error) error {
	return &rota.Error{System: s.Connection.system(), Connection: s.Connection.name, Op: op + " of " + s.Entry.String(), Class: rota.ClassStop, Err: err}
}

// maxStoreRaces is how often another writer may come in between.
const maxStoreRaces = 16

// change reads both entries, has plan change what they hold, and writes it. plan
// returns the version to promote, "" for none, and false if there's nothing to do. It's
// called again if somebody else wrote meanwhile.
func (s *Store) change(ctx context.Context, plan func(*both) (promote string, changes bool, err error)) error {
	if err := s.Connection.checkEngine(ctx, s.Entry); err != nil {
		return err
	}
	var err error
	for range maxStoreRaces {
		if err = s.try(ctx, plan); !errors.Is(err, errRace) {
			return err
		}
	}
	return err
}

// errRace is a write that came too late.
var errRace = fmt.Errorf("somebody else keeps writing it: %w", rota.ErrConflict)

func (s *Store) try(ctx context.Context, plan func(*both) (string, bool, error)) error {
	b, err := s.load(ctx)
	if err != nil {
		return err
	}
	b.settle()
	to, changes, err := plan(&b)
	if err != nil || !changes {
		return err
	}
	if to != "" {
		b.Next = append(b.Next, promotion{to, b.entry.version + 1})
	}
	if err := s.save(ctx, &b); err != nil || to == "" {
		return err
	}
	v := b.Versions[to]
	now, err := values(nil).over(v.Fields, true)
	if err != nil {
		return err
	}
	if err := s.Connection.write(ctx, s.Entry, b.entry, now, rota.NewCredential(v.Fields)); err != nil {
		return raced(err)
	}
	// The promotion is done. Noting that can be left to the next write.
	if b, err := s.load(ctx); err == nil {
		b.settle()
		_ = s.save(ctx, &b)
	}
	return nil
}

func raced(err error) error {
	if errors.Is(err, rota.ErrConflict) {
		return fmt.Errorf("%w: %w", errRace, err)
	}
	return err
}

// save writes the state, without the versions that nobody needs any more, and destroys
// what the entry's own history has of those.
func (s *Store) save(ctx context.Context, b *both) error {
	for id, v := range b.Versions {
		if b.wanted(id) {
			continue
		}
		if err := s.destroy(ctx, v.Serials, b.entry.version); err != nil {
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
	err = s.Connection.write(ctx, s.State, snapshot{version: b.serial}, values{stateKey: text}, all...)
	return raced(err)
}

// destroy destroys versions of the entry, but for its latest.
func (s *Store) destroy(ctx context.Context, serials []int64, latest int64) error {
	serials = slices.DeleteFunc(slices.Clone(serials), func(n int64) bool { return n == latest })
	if len(serials) == 0 {
		return nil
	}
	_, err := s.Connection.do(ctx, call{op: "destroy old versions of " + s.Entry.String(), method: http.MethodPost, path: s.destroyed(), body: map[string]any{"versions": serials}}, nil)
	return err
}

func (s *Store) metadata() string  { return path.Join(s.State.Mount, "metadata", s.State.Path) }
func (s *Store) destroyed() string { return path.Join(s.Entry.Mount, "destroy", s.Entry.Path) }
