// Package record is what a store knows about a secret besides its credentials:
// everything the Secrets Manager endpoint shows. It has the types, the
// interface and an in-memory implementation; package store implements it in its
// database.
package record

import (
	"cmp"
	"context"
	"crypto/subtle"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/rota-dev/rota/rotation"
)

// Record is one secret without its values.
type Record struct {
	Name        string
	Suffix      string // the six random characters of its ARN
	Description string
	KMSKeyID    string
	Type        string // as given to CreateSecret; usually ""
	Tags        []Tag  // nil until there is one; empty, but not nil, once all are gone
	Policy      string // the resource policy, JSON; "" for none
	Rotation    Rotation
	CreatedAt   time.Time
	ChangedAt   time.Time
	AccessedAt  time.Time // a day
	DeletedAt   time.Time // when deletion was requested; zero if it wasn't
	DeleteAt    time.Time // when the recovery window ends
	Versions    []Version // in order of creation
}

// Tag is a key with a value.
type Tag struct{ Key, Value string }

// Rotation is what RotateSecret set up.
type Rotation struct {
	Enabled     bool
	FunctionARN string
	AfterDays   int64
	Duration    string
	Schedule    string
	RotatedAt   time.Time
	NextAt      time.Time
	// Underway is the rotation that has begun and isn't complete.
	Underway Underway `json:",omitzero"`
}

// Underway is a rotation in progress.
type Underway struct {
	Version   string // the one it announced; "" if there's no such rotation
	Rehearsal bool   // it only tests: the version holds a copy of the current value
}

// Version is one version without its value.
type Version struct {
	ID         string
	CreatedAt  time.Time
	AccessedAt time.Time // a day
	Labels     []string
	Empty      bool // announced by a rotation, without a value yet
}

// Value is a version's content: text or bytes, never both.
type Value struct {
	Text   *string
	Binary []byte
}

// IsZero reports whether there's no content at all.
func (v Value) IsZero() bool { return v.Text == nil && v.Binary == nil }

// Equal compares contents in constant time.
func (v Value) Equal(other Value) bool {
	if (v.Text == nil) != (other.Text == nil) {
		return false
	}
	if v.Text != nil {
		return subtle.ConstantTimeCompare([]byte(*v.Text), []byte(*other.Text)) == 1
	}
	return subtle.ConstantTimeCompare(v.Binary, other.Binary) == 1
}

// String says that there is a value, but not what it is.
func (v Value) String() string { return "[redacted]" }

// GoString is String, for %#v.
func (v Value) GoString() string { return v.String() }

// LogValue is String, for log/slog.
func (v Value) LogValue() slog.Value { return slog.StringValue(v.String()) }

// ErrNotFound means that a secret or a version doesn't exist.
var ErrNotFound = errors.New("not found")

// Records are all secrets of a store. All methods must be safe for concurrent
// use, and whatever they report as done is durable.
type Records interface {
	// View returns a secret, or [ErrNotFound]. After its recovery window, a
	// deleted secret no longer exists.
	View(ctx context.Context, name string) (Record, error)
	// Value returns a version's content, or [ErrNotFound]. The entries are
	// durable before it returns.
	Value(ctx context.Context, name, version string, entries ...rotation.Entry) (Value, error)
	// List returns one page of secrets.
	List(ctx context.Context, p Page) ([]Record, error)
	// Due lists the names of secrets with something to do by now: a rotation,
	// or a removal after the recovery window. It returns at most limit names,
	// longest overdue first.
	Due(ctx context.Context, limit int) ([]string, error)
	// Update runs change on the secret's record and writes the result and the
	// entries atomically. An error from change undoes everything and is
	// returned unchanged. change may run again after losing a race, so it must
	// have no other effects.
	Update(ctx context.Context, name string, change func(*Change) error, entries ...rotation.Entry) error
	// Record adds entries to the audit, durably.
	Record(ctx context.Context, entries ...rotation.Entry) error
}

// Order is what a list is sorted by. Ties are broken by name.
type Order int

const (
	ByName Order = iota
	ByCreation
	ByChange
	ByAccess
)

// Page selects part of a list.
type Page struct {
	By         Order
	Descending bool
	After      Cursor // where the previous page ended; zero for the first
	Limit      int
}

// Cursor is a position in a list. At only counts if the order is by a time.
type Cursor struct {
	At   time.Time
	Name string
}

// Cursor is the record's position in an order.
func (o Order) Cursor(r Record) Cursor {
	m := Cursor{Name: r.Name}
	switch o {
	case ByCreation:
		m.At = r.CreatedAt
	case ByChange:
		m.At = r.ChangedAt
	case ByAccess:
		m.At = r.AccessedAt
	}
	return m
}

// Compare says which cursor comes first in ascending order.
func (m Cursor) Compare(other Cursor) int {
	return cmp.Or(m.At.Compare(other.At), strings.Compare(m.Name, other.Name))
}

// DueAt is when the record next needs something done, zero for never.
func (r Record) DueAt() time.Time {
	if !r.DeleteAt.IsZero() {
		return r.DeleteAt
	}
	return r.Rotation.NextAt
}

// Expired reports whether the recovery window is over.
func (r Record) Expired(now time.Time) bool { return !r.DeleteAt.IsZero() && !now.Before(r.DeleteAt) }

// Clone returns a deep copy.
func (r Record) Clone() Record {
	r.Tags = slices.Clone(r.Tags)
	r.Versions = slices.Clone(r.Versions)
	for i := range r.Versions {
		r.Versions[i].Labels = slices.Clone(r.Versions[i].Labels)
	}
	return r
}

// Version finds a version by its id; nil if there's none.
func (r *Record) Version(id string) *Version {
	i := slices.IndexFunc(r.Versions, func(v Version) bool { return v.ID == id })
	if i < 0 {
		return nil
	}
	return &r.Versions[i]
}

// Drop removes a version with its labels.
func (r *Record) Drop(id string) {
	r.Versions = slices.DeleteFunc(r.Versions, func(v Version) bool { return v.ID == id })
}

// Holder finds the version that carries a label; nil if there's none.
func (r *Record) Holder(label string) *Version {
	i := slices.IndexFunc(r.Versions, func(v Version) bool { return slices.Contains(v.Labels, label) })
	if i < 0 {
		return nil
	}
	return &r.Versions[i]
}

// Day is the day of a time, as access dates have it.
func Day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// Change is a record being changed. Exists says whether it existed before; if
// not, it is created unless the change fails. Remove deletes it with all its
// versions, and is a no-op if it doesn't exist. A version removed from Versions
// loses its value; Put sets one. Whether a version is Empty follows from that
// alone.
type Change struct {
	Record
	Exists bool
	Remove bool
	Now    time.Time // the store's clock

	value func(version string) (Value, error)
	put   map[string]Value
}

// Value returns the content of one of the versions, or [ErrNotFound].
func (c *Change) Value(version string) (Value, error) {
	if v, ok := c.put[version]; ok {
		return v, nil
	}
	return c.value(version)
}

// Put sets a version's content.
func (c *Change) Put(version string, v Value) {
	if c.put == nil {
		c.put = map[string]Value{}
	}
	c.put[version] = v
}

// NewChange is for implementations of [Records]: a change of r, whose values
// come from value.
func NewChange(r Record, exists bool, now time.Time, value func(version string) (Value, error)) *Change {
	return &Change{Record: r, Exists: exists, Now: now, value: value}
}

// NewValues is for implementations of [Records]: the values that were put.
func (c *Change) NewValues() map[string]Value { return c.put }
