package record

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/rotation"
)

// Guarded gives one caller access to records. It refuses what the caller isn't
// allowed to do, and audits every refusal, every read of a value and every
// change before it returns. Refusals wrap [access.ErrDenied].
type Guarded struct {
	records Records
	caller  access.Caller
	now     func() time.Time
}

// Guard returns the only way in to records that a server gets. now is the clock
// of the audit entries; nil means time.Now.
func Guard(records Records, now func() time.Time) func(access.Caller) *Guarded {
	if now == nil {
		now = time.Now
	}
	return func(c access.Caller) *Guarded { return &Guarded{records: records, caller: c, now: now} }
}

// Caller is who uses the records.
func (g *Guarded) Caller() access.Caller { return g.caller }

// Check is [access.Authorize] for the caller and one secret. op is the
// operation's name in the audit.
func (g *Guarded) Check(ctx context.Context, a access.Action, op, name string) error {
	return access.Authorize(ctx, g.caller, g.records, access.Attempt{Action: a, Op: op, At: g.now()}, name)
}

// View returns a secret to a caller who may list it.
func (g *Guarded) View(ctx context.Context, name string) (Record, error) {
	return g.ViewFor(ctx, access.List, "view", name)
}

// ViewFor returns a secret to a caller who may take another action that needs
// to see it.
func (g *Guarded) ViewFor(ctx context.Context, a access.Action, op, name string) (Record, error) {
	if err := g.Check(ctx, a, op, name); err != nil {
		return Record{}, err
	}
	return g.records.View(ctx, name)
}

// ReadVersion returns a version's value to a caller who may read it. choose
// sees the record and picks the version; the caller doesn't need permission to
// list.
func (g *Guarded) ReadVersion(ctx context.Context, name string, choose func(Record) (version string, err error)) (Record, Value, error) {
	if err := g.Check(ctx, access.Read, rotation.OpGet, name); err != nil {
		return Record{}, Value{}, err
	}
	for last := ""; ; {
		r, err := g.records.View(ctx, name)
		if err != nil {
			return Record{}, Value{}, err
		}
		version, err := choose(r)
		if err != nil {
			return Record{}, Value{}, err
		}
		entry := g.caller.Entry(g.now(), rotation.OpGet, name, rotation.OutcomeSucceeded, "")
		entry.Version = version
		v, err := g.records.Value(ctx, name, version, entry)
		if errors.Is(err, ErrNotFound) && version != last {
			last = version // it was replaced and deleted in between: look again
			continue
		}
		return r, v, err
	}
}

// List returns the secrets of a page that the caller may list, and the cursor
// of the next page, zero at the end. A page can have fewer secrets than its
// limit, or none, without being the last.
func (g *Guarded) List(ctx context.Context, p Page) ([]Record, Cursor, error) {
	all, err := g.records.List(ctx, p)
	if err != nil {
		return nil, Cursor{}, err
	}
	var next Cursor
	if len(all) == p.Limit && p.Limit > 0 {
		next = p.By.Cursor(all[len(all)-1])
	}
	var found []Record
	for _, r := range all {
		if g.caller.Allows(access.List, r.Name) {
			found = append(found, r)
		}
	}
	return found, next, nil
}

// Operation describes a change.
type Operation struct {
	Action  access.Action    // the permission that it needs
	Op      string           // for the audit: "put", "label", "tag", …
	Version string           // that it concerns, if any
	Detail  string           // for the audit; never a value
	Outcome rotation.Outcome // for the audit. Defaults to rotation.OutcomeSucceeded
}

// Update changes a secret.
func (g *Guarded) Update(ctx context.Context, name string, act Operation, change func(*Change) error) error {
	if err := g.Check(ctx, act.Action, act.Op, name); err != nil {
		return err
	}
	entry := g.caller.Entry(g.now(), act.Op, name, cmp.Or(act.Outcome, rotation.OutcomeSucceeded), act.Detail)
	entry.Version = act.Version
	return g.records.Update(ctx, name, change, entry)
}

// Audit records the outcome of an authorized operation that doesn't change the
// record.
func (g *Guarded) Audit(ctx context.Context, op, name string, o rotation.Outcome, version, detail string) error {
	entry := g.caller.Entry(g.now(), op, name, o, detail)
	entry.Version = version
	return g.records.Record(ctx, entry)
}

// Due lists the secrets with something to do, for a caller with all
// permissions.
func (g *Guarded) Due(ctx context.Context, limit int) ([]string, error) {
	if err := g.Check(ctx, access.Admin, "due", ""); err != nil {
		return nil, err
	}
	return g.records.Due(ctx, limit)
}
