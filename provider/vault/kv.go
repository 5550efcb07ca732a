package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Entry is a place in a KV engine.
type Entry struct {
	Mount string // where the engine is mounted, such as "secret"
	Path  string // the entry's path there, such as "apps/orders"
	// Version is the engine's: 1 or 2.
	Version int
}

// String is the entry for people.
func (e Entry) String() string { return "entry " + path.Join(e.Mount, e.Path) }

// data is the path of the entry's values.
func (e Entry) data() string {
	if e.Version == 1 {
		return path.Join(e.Mount, e.Path)
	}
	return path.Join(e.Mount, "data", e.Path)
}

// values are an entry's keys. Those that aren't Rota's can be anything.
type values map[string]json.RawMessage

// snapshot is an entry as it was read.
type snapshot struct {
	values  values // nil if there are none
	version int64  // of KV v2, 0 if it has none yet
	created time.Time
	ends    time.Time // when Vault deletes that version by itself; zero for never
	// deleted means that its values can be undeleted.
	deleted bool
}

// versioned is what a KV v2 engine answers.
type versioned struct {
	Data     values `json:"data"`
	Metadata struct {
		Version   int64     `json:"version"`
		Created   time.Time `json:"created_time"`
		Deleted   string    `json:"deletion_time"` // may be in the future
		Destroyed bool      `json:"destroyed"`
	} `json:"metadata"`
}

// read reads an entry. One that isn't there, or whose latest version was deleted or
// destroyed, has no values.
func (c *Connection) read(ctx context.Context, e Entry) (snapshot, error) {
	k := call{op: "read " + e.String(), method: http.MethodGet, path: e.data()}
	if e.Version == 1 {
		var s snapshot
		_, err := c.do(ctx, k, &s.values)
		if isAbsent(err) {
			return snapshot{}, nil
		}
		return s, err
	}
	return c.readVersioned(ctx, k)
}

// readVersion reads one version of an entry of KV v2, which needn't be the latest.
func (c *Connection) readVersion(ctx context.Context, e Entry, version int64) (snapshot, error) {
	n := strconv.FormatInt(version, 10)
	return c.readVersioned(ctx, call{op: "read version " + n + " of " + e.String(), method: http.MethodGet, path: e.data(), params: map[string]string{"version": n}})
}

func (c *Connection) readVersioned(ctx context.Context, k call) (snapshot, error) {
	var v versioned
	r, err := c.do(ctx, k, &v)
	if isAbsent(err) {
		v = versioned{}
		if len(r.Data) > 0 && json.Unmarshal(r.Data, &v) != nil {
			return snapshot{}, c.fail(k, nil, errUnreadable)
		}
		v.Data, err = nil, nil
	}
	ends, _ := time.Parse(time.RFC3339, v.Metadata.Deleted)
	return snapshot{values: v.Data, version: v.Metadata.Version, created: v.Metadata.Created.UTC(), ends: ends, deleted: v.Data == nil && !ends.IsZero() && !v.Metadata.Destroyed}, err
}

// isAbsent reports whether Vault says that there's nothing at a path. That nothing
// is mounted there is something else.
func isAbsent(err error) bool {
	a, ok := errors.AsType[*provider.Answer](err)
	return ok && a.Status == http.StatusNotFound && a.Message == ""
}

// write writes an entry's values. On KV v2 it's [rota.ErrConflict] if the entry's
// version isn't the one that was read.
func (c *Connection) write(ctx context.Context, e Entry, was snapshot, now values, used ...rota.Credential) error {
	k := call{op: "write " + e.String(), method: http.MethodPost, path: e.data(), body: now, allow: "create and update", used: used}
	if e.Version != 1 {
		k.body = map[string]any{"data": now, "options": map[string]any{"cas": was.version}}
	}
	_, err := c.do(ctx, k, nil)
	return err
}

// over is what an entry holds once these texts are written into it: with whole they
// alone, and otherwise beside the other keys that it has.
func (v values) over(texts map[string]string, whole bool) (values, error) {
	out := values{}
	if !whole {
		for name, value := range v {
			out[name] = value
		}
	}
	for name, text := range texts {
		encoded, err := json.Marshal(text)
		if err != nil {
			return nil, err
		}
		out[name] = encoded
	}
	return out, nil
}

// equal reports whether two entries hold the same.
func (v values) equal(other values) bool {
	if len(v) != len(other) {
		return false
	}
	for name, value := range v {
		if there, ok := other[name]; !ok || !sameJSON(value, there) {
			return false
		}
	}
	return true
}

func sameJSON(a, b json.RawMessage) bool {
	if bytes.Equal(a, b) {
		return true
	}
	var x, y string // Rota's own, which Vault may escape in another way
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && x == y
}

// strangers are the names of the keys that aren't among these, sorted.
func (v values) strangers(texts map[string]string) []string {
	var names []string
	for name := range v {
		if _, ours := texts[name]; !ours {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// kvVersions are the versions of the KV engines that were asked about, by mount.
type kvVersions struct {
	mu    sync.Mutex
	known map[string]int
}

// checkEngine makes sure that a mount is a KV engine of the version that rota.yaml
// says. With the paths of the other version, a write would go somewhere else
// instead of failing.
func (c *Connection) checkEngine(ctx context.Context, e Entry) error {
	c.kv.mu.Lock()
	version, known := c.kv.known[e.Mount]
	c.kv.mu.Unlock()
	op := "find the KV engine at " + e.Mount
	if !known {
		var mount struct {
			Type    string            `json:"type"`
			Options map[string]string `json:"options"`
		}
		// Vault's own command asks here too. Whoever may do anything below the mount
		// may ask.
		k := call{op: op, method: http.MethodGet, path: path.Join("sys/internal/ui/mounts", e.Mount, e.Path)}
		if _, err := c.do(ctx, k, &mount); err != nil {
			if failed, ok := errors.AsType[*rota.Error](err); ok && provider.StatusOf(err) == http.StatusForbidden && !errors.Is(err, errLogin) {
				failed.Remedies = c.allow("read", e.data())
				failed.Err = fmt.Errorf("it isn't there, or the connection's login may do nothing in it: %w", failed.Err)
			}
			return err
		}
		if mount.Type != "kv" && mount.Type != "generic" {
			return c.refuse(op, "the mount of a KV engine in rota.yaml", fmt.Errorf("it's an engine of type %s", provider.Said(mount.Type)))
		}
		if version = 1; mount.Options["version"] == "2" {
			version = 2
		}
		c.kv.mu.Lock()
		if c.kv.known == nil {
			c.kv.known = map[string]int{}
		}
		c.kv.known[e.Mount] = version
		c.kv.mu.Unlock()
	}
	if version != e.Version {
		c.kv.mu.Lock()
		delete(c.kv.known, e.Mount) // it may be upgraded
		c.kv.mu.Unlock()
		return &rota.Error{System: c.system(), Connection: c.name, Op: op, Class: rota.ClassStop,
			Err: &otherEngine{version, e.Version}, Remedies: rota.Configure("version", fmt.Sprintf("version: %d", version))}
	}
	return nil
}

// otherEngine is a KV engine of another version than rota.yaml says.
type otherEngine struct{ is, want int }

func (o *otherEngine) Error() string {
	return fmt.Sprintf("it's a KV engine of version %d, and rota.yaml says %d", o.is, o.want)
}
