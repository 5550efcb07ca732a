package record

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/rotation"
)

// Guarded are records as one caller may use them: what the caller may not do is
// refused, and every refusal, every reading of a value and every change is in
// the audit before the answer. An error of a refusal is [access.ErrDenied].
type Guarded struct {
	records Records
	caller  access.Caller
	now     func() time.Time
}

// Guard gives the way in to records: the only one that a server is given. now
// is the clock of the audit entries; nil is time.Now.
func Guard(records Records, now func() time.Time) func(access.Caller) *Guarded {
	if now == nil {
		now = time.Now
	}
	return func(c access.Caller) *Guarded { return &Guarded{records: records, caller: c, now: now} }
}

// Caller is who uses the records.
func (g *Guarded) Caller() access.Caller { return g.caller }

// Check is [access.Authorize] for the caller and one secret. op is its name in
// the audit.
func (g *Guarded) Check(ctx context.Context, a access.Action, op, name string) error {
	return access.Authorize(ctx, g.caller, g.records, access.Attempt{Action: a, Op: op, At: g.now()}, name)
}

// View gives a secret to a caller who may list it.
func (g *Guarded) View(ctx context.Context, name string) (Record, error) {
	return g.ViewFor(ctx, access.List, "view", name)
}

// ViewFor gives a secret to a caller who may do something else with it that
// needs to see it.
func (g *Guarded) ViewFor(ctx context.Context, a access.Action, op, name string) (Record, error) {
	if err := g.Check(ctx, a, op, name); err != nil {
		return Record{}, err
	}
	return g.records.View(ctx, name)
}

// ReadVersion gives a version's content to a caller who may read it. Which version it
// is, choose says, which sees the record; a caller who may read need not have
// the right to list.
func (g *Guarded) ReadVersion(ctx context.Context, name string, choose func(Record) (version string, err error)) (Record, Value, error) {
	if err := g.Check(ctx, access.Read, "get", name); err != nil {
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
		entry := g.caller.Entry(g.now(), "get", name, rotation.OutcomeSucceeded, "")
		entry.Version = version
		v, err := g.records.Value(ctx, name, version, entry)
		if errors.Is(err, ErrNotFound) && version != last {
			last = version // it was replaced, and deleted, in between: look again
			continue
		}
		return r, v, err
	}
}

// List gives those secrets of a page that the caller may list, and where to go
// on, zero at the end. A page may be shorter than its limit, or empty, and yet
// not be the last.
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

// Operation is what a change is called, and what it takes.
type Operation struct {
	Action  access.Action    // that the caller must be allowed
	Op      string           // for the audit: "put", "label", "tag", …
	Version string           // that it is about, if any
	Detail  string           // for the audit; never a value
	Outcome rotation.Outcome // for the audit. Defaults to rota.Succeeded
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

// Audit puts down how something went that the caller may do and that is no
// change of the record.
func (g *Guarded) Audit(ctx context.Context, op, name string, o rotation.Outcome, version, detail string) error {
	entry := g.caller.Entry(g.now(), op, name, o, detail)
	entry.Version = version
	return g.records.Record(ctx, entry)
}

// Due lists the secrets that there is something to do with, to a caller who
// may do everything.
func (g *Guarded) Due(ctx context.Context, limit int) ([]string, error) {
	if err := g.Check(ctx, access.Admin, "due", ""); err != nil {
		return nil, err
	}
	return g.records.Due(ctx, limit)
}
