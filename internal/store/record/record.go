// Package record is what a store knows of a secret beyond its credentials: all
// that the Secrets Manager endpoint shows. It has the types, the interface and
// an implementation in memory; package store implements it in its database.
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
	Type        string // as CreateSecret was told; "" as a rule
	Tags        []Tag
	Policy      string // the resource policy, JSON; "" for none
	Rotation    Rotation
	CreatedAt   time.Time
	ChangedAt   time.Time
	AccessedAt  time.Time // a day
	DeletedAt   time.Time // when deletion was asked for; zero unless it was
	DeleteAt    time.Time // when the recovery window ends
	Versions    []Version // in order of creation
}

// Tag is a name with a value.
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
}

// Version is one version without its value.
type Version struct {
	ID         string
	CreatedAt  time.Time
	AccessedAt time.Time // a day
	Labels     []string
	Empty      bool // announced by a rotation, not put yet
}

// Value is a version's content: text or bytes, never both.
type Value struct {
	Text   *string
	Binary []byte
}

// IsZero tells whether there is no content at all.
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

// String tells that there is a value and never which.
func (v Value) String() string { return "[redacted]" }

// GoString is String, for %#v.
func (v Value) GoString() string { return v.String() }

// LogValue is String, for log/slog.
func (v Value) LogValue() slog.Value { return slog.StringValue(v.String()) }

// ErrNotFound tells that a secret or a version is not there.
var ErrNotFound = errors.New("not found")

// Records are all the secrets of a store. All methods may be called at the same
// time; what was reported as done is durable.
type Records interface {
	// View gives a secret, or [ErrNotFound]. One whose recovery window is over
	// is gone.
	View(ctx context.Context, name string) (Record, error)
	// Value gives a version's content, or [ErrNotFound]. The entries are
	// durable before it answers.
	Value(ctx context.Context, name, version string, entries ...rotation.Entry) (Value, error)
	// List gives the secrets of one page.
	List(ctx context.Context, p Page) ([]Record, error)
	// Due lists the names of the secrets that there is something to do with
	// by now: to rotate, or to remove as their recovery window is over. The
	// longest overdue come first, at most limit of them.
	Due(ctx context.Context, limit int) ([]string, error)
	// Update runs change on the secret's record and writes down, as one, what
	// it did and the entries. An error of change undoes all and is given back
	// as it is. change may be run again after a lost race: it must do nothing
	// else.
	Update(ctx context.Context, name string, change func(*Change) error, entries ...rotation.Entry) error
	// Record adds entries to the audit, durably.
	Record(ctx context.Context, entries ...rotation.Entry) error
}

// Order is what a list is sorted by. Where it is equal, names decide.
type Order int

// The orders.
const (
	ByName Order = iota
	ByCreation
	ByChange
	ByAccess
)

// Page says which part of a list is wanted.
type Page struct {
	By         Order
	Descending bool
	After      Cursor // where the page before ended; zero for the first
	Limit      int
}

// Cursor is a place in a list. At counts only where the order is by a time.
type Cursor struct {
	At   time.Time
	Name string
}

// Cursor is where the record stands in an order.
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

// Compare says which mark comes first when ascending.
func (m Cursor) Compare(other Cursor) int {
	return cmp.Or(m.At.Compare(other.At), strings.Compare(m.Name, other.Name))
}

// DueAt is when there is something to do with the record by itself, zero for
// never.
func (r Record) DueAt() time.Time {
	if !r.DeleteAt.IsZero() {
		return r.DeleteAt
	}
	return r.Rotation.NextAt
}

// Expired tells whether the recovery window is over.
func (r Record) Expired(now time.Time) bool { return !r.DeleteAt.IsZero() && !now.Before(r.DeleteAt) }

// Clone is a copy that shares nothing with the record.
func (r Record) Clone() Record {
	r.Tags = slices.Clone(r.Tags)
	r.Versions = slices.Clone(r.Versions)
	for i := range r.Versions {
		r.Versions[i].Labels = slices.Clone(r.Versions[i].Labels)
	}
	return r
}

// Version finds a version by its id; nil where there is none.
func (r *Record) Version(id string) *Version {
	i := slices.IndexFunc(r.Versions, func(v Version) bool { return v.ID == id })
	if i < 0 {
		return nil
	}
	return &r.Versions[i]
}

// Holder finds the version that carries a label; nil where there is none.
func (r *Record) Holder(label string) *Version {
	i := slices.IndexFunc(r.Versions, func(v Version) bool { return slices.Contains(v.Labels, label) })
	if i < 0 {
		return nil
	}
	return &r.Versions[i]
}

// Day is the day that a time lies on, as the access dates have it.
func Day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// Change is a record being changed. Exists tells whether it was there; where it
// was not, it is made unless the change fails. Remove deletes it with all its
// versions, and is no error where it was not there. A version that is taken
// out of Versions loses its value; Put gives one. Whether a version is Empty
// follows from that alone.
type Change struct {
	Record
	Exists bool
	Remove bool
	Now    time.Time // the store's clock

	value func(version string) (Value, error)
	put   map[string]Value
}

// Value gives the content of one of the versions, or [ErrNotFound].
func (c *Change) Value(version string) (Value, error) {
	if v, ok := c.put[version]; ok {
		return v, nil
	}
	return c.value(version)
}

// Put gives a version its content.
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

// NewValues gives, for implementations of [Records], the values that were put.
func (c *Change) NewValues() map[string]Value { return c.put }
