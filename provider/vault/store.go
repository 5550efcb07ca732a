package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
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
	// At is when the entry's version of that number was written.
	At time.Time `json:"at,omitzero"`
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
	serial       int64 // of State
	stateCreated time.Time
	stateEnds    time.Time // when Vault deletes it; zero for never
	entry        snapshot
	current      string // "" for none
}

// load reads both entries, and finds out which version is current. What looks like
// somebody else's value may be one that was promoted between the two reads: then the
// state has changed.
func (s *Store) load(ctx context.Context) (both, error) {
	var b both
	before := int64(-1)
	for range maxStoreRaces {
		var err error
		b, err = s.look(ctx)
		if err != nil {
			return both{}, err
		}
		if _, known := b.Versions[b.current]; !b.outdated() && (known || b.current == "" || b.serial == before) {
			return b, nil
		}
		before = b.serial
	}
	failed := &rota.Error{System: s.Connection.system(), Connection: s.Connection.name, Op: "read " + s.Entry.String(), Class: rota.ClassWait, Err: errRace}
	if b.outdated() {
		failed.Err = errOutdated
		failed.Remedies = rota.Outside("set the address of connection " + s.Connection.name + " to the active server: this one lags behind")
	}
	return both{}, failed
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
	b := both{serial: was.version, stateCreated: was.created, stateEnds: was.ends, entry: entry}
	if text, ok := was.values[stateKey]; ok {
		if json.Unmarshal(text, &b.state) != nil {
			return both{}, s.Connection.refuse("read "+s.State.String(), "restore an earlier version of the entry: somebody else wrote it", errUnreadable)
		}
	} else if was.values == nil && was.version > 0 {
		return both{}, s.Connection.refuse("read "+s.State.String(), "vault kv undelete it, or delete its metadata to begin anew: Rota then knows neither the previous credential nor the pending one", errors.New("all versions of the secret were deleted with it"))
	} else if len(was.values) > 0 {
		return both{}, s.Connection.refuse("read "+s.State.String(), "choose another state_path: this entry is somebody else's", errors.New("it doesn't hold a secret's versions"))
	}
	if b.Versions == nil {
		b.Versions, b.Labels = map[string]kept{}, map[rota.Label]string{}
	}
	if b.outdated() {
		return b, nil
	}
	b.startOver()
	for _, n := range b.overtaken() {
		done, err := s.held(ctx, n.Serial, b.Versions[n.To])
		if err != nil {
			return both{}, err
		}
		if done {
			b.became(n.To, n.Serial)
		}
	}
	b.current, err = b.holds()
	if err != nil {
		return both{}, s.Connection.refuse("read "+s.Entry.String(), "vault kv undelete it, or write its value again", err)
	}
	return b, nil
}

// held reports whether an older version of the entry held a value. One that isn't
// there any more may have: then whoever wrote the next one wanted it gone, and a value
// that was replaced is never taken for a new one.
func (s *Store) held(ctx context.Context, serial int64, v kept) (bool, error) {
	was, err := s.Connection.readVersion(ctx, s.Entry, serial)
	return was.values == nil || v.is(was.values), err
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
	if err := s.checkEngine(ctx); err != nil {
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

// errOutdated is an answer from before something that the state knows.
var errOutdated = errors.New("the answer is older than what was read or written before")

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
	if next := (promotion{to, b.entry.version + 1}); to != "" && !slices.Contains(b.Next, next) {
		b.Next = append(b.Next, next)
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
