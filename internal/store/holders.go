package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/rotation"
)

// Holders knows which version of a secret each instance of an application holds, as
// the instances reported. A report is a lease: it counts until it expires, whatever
// happens to the instance or to the server.
type Holders struct{ *core }

func (db *DB) Holders() Holders { return Holders{db.core} }

const (
	// ListenEvery is how often a server says that it's there to be reported to.
	ListenEvery = 10 * time.Second
	// listenGap is how long none can be there without instances being overlooked:
	// the shortest lease is longer by what an instance needs to report again.
	listenGap = 45 * time.Second
)

// The most leases that are kept. What's beyond them counts as one more holder.
const (
	maxHoldersOfSecret    = 20_000
	maxHoldersOfPrincipal = 100_000
)

// HolderReport is what an instance holds.
type HolderReport struct {
	// Principal reports it. Other principals' instances of the same name are
	// different ones.
	Principal, Instance string
	Held                []Held
	// Adds means that the instance may hold more than Held says.
	Adds bool
}

// Held is what an instance holds of one secret: nothing, one version, or several
// while connections with an older one are still open.
type Held struct {
	Secret   string
	Versions []string
	// Within is how long the report counts at least.
	Within time.Duration
}

// Report records what an instance holds, in place of what it reported before about
// the same secrets. It returns the secrets with more holders than are kept: those
// count as held by instances that nobody can name.
//
// A lease lasts a third longer than Within, and a report that comes in that third and
// changes nothing isn't written.
func (db Holders) Report(ctx context.Context, r HolderReport) (refused []string, err error) {
	if r.Principal == "" || r.Instance == "" {
		return nil, errors.New("a report needs a principal and an instance")
	}
	known, err := db.heldBy(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("report of %s: %w", r.Instance, explain(err))
	}
	fresh, dropped := r.changes(known, db.clock.now())
	if len(fresh) == 0 && len(dropped) == 0 {
		return nil, nil
	}
	err = db.writer.do(ctx, holdersLock, func(t *tx) error {
		refused = nil
		for _, l := range dropped {
			t.enqueue(sqlLetGo, l.secret, r.Principal, r.Instance, l.version)
		}
		for _, l := range fresh {
			by, instance := r.Principal, r.Instance
			if l.isNew {
				room, err := db.hasRoom(t, by, l.secret)
				if err != nil {
					return err
				}
				if !room {
					by, instance = "", ""
					refused = append(refused, l.secret)
				}
			}
			t.enqueue(sqlHold, l.secret, by, instance, l.version, micros(t.now), micros(t.now.Add(l.lasts)))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("report of %s: %w", r.Instance, err)
	}
	slices.Sort(refused)
	return slices.Compact(refused), nil
}

// heldVersion is a version that an instance holds.
type heldVersion struct{ secret, version string }

// heldLease is one to write.
type heldLease struct {
	heldVersion
	lasts time.Duration
	isNew bool
}

// heldBy returns until when what the instance last reported counts.
func (db Holders) heldBy(ctx context.Context, r HolderReport) (map[heldVersion]time.Time, error) {
	known := map[heldVersion]time.Time{}
	query, args := sqlHeldBy, []any{r.Principal, r.Instance}
	if len(r.Held) == 1 {
		query, args = sqlHeldOfOne, append(args, r.Held[0].Secret)
	}
	err := db.reads.rows(ctx, db.reader, query, args, func(row scanner) error {
		var v heldVersion
		var until int64
		if err := row.Scan(&v.secret, &v.version, &until); err != nil {
			return err
		}
		known[v] = fromMicros(until)
		return nil
	})
	return known, err
}

// changes compares a report with what's known.
func (r HolderReport) changes(known map[heldVersion]time.Time, now time.Time) (fresh []heldLease, dropped []heldVersion) {
	for _, h := range r.Held {
		for _, version := range h.Versions {
			v := heldVersion{h.Secret, version}
			if until, isKnown := known[v]; !isKnown || until.Sub(now) < h.Within {
				fresh = append(fresh, heldLease{v, h.Within + h.Within/3, !isKnown})
			}
		}
		if r.Adds {
			continue
		}
		for v := range known {
			if v.secret == h.Secret && !slices.Contains(h.Versions, v.version) {
				dropped = append(dropped, v)
			}
		}
	}
	return fresh, dropped
}

// End drops everything that an instance held: it has ended.
func (db Holders) End(ctx context.Context, principal, instance string) error {
	err := db.writer.do(ctx, holdersLock, func(t *tx) error {
		_, err := t.exec(sqlInstanceEnd, principal, instance)
		return err
	})
	if err != nil {
		return fmt.Errorf("end of %s: %w", instance, err)
	}
	return nil
}

// Forget drops what instances hold of a secret, except for its current version: a
// person knows that they're gone. Without an instance it applies to all of them, those
// that were too many to be counted included. Whoever still reports is back with the
// next report.
func (db Holders) Forget(ctx context.Context, secret, current, instance string, by access.Caller, why string) (int, error) {
	var n int64
	err := db.writer.do(ctx, holdersLock, func(t *tx) (err error) {
		if n, err = t.exec(sqlForgetHolders, secret, current, instance); err != nil {
			return err
		}
		t.enqueue(sqlMarkDue, secret)
		entry := by.Entry(t.now, rotation.OpForget, secret, rotation.OutcomeSucceeded, why)
		entry.Object = instance
		return t.append([]rotation.Entry{entry})
	})
	if err != nil {
		return 0, fmt.Errorf("forget who holds %s: %w", secret, err)
	}
	return int(n), nil
}

// Lease is one version that an instance holds.
type Lease struct {
	Principal, Instance string // both "" for those that are too many to be counted
	Version             string
	Since, Until        time.Time
}

// Of returns who holds which version of a secret, the longest first.
func (db Holders) Of(ctx context.Context, secret string) ([]Lease, error) {
	var all []Lease
	err := db.reads.rows(ctx, db.reader, sqlHolders, []any{secret, micros(db.clock.now())}, func(row scanner) error {
		var l Lease
		var since, until int64
		if err := row.Scan(&l.Principal, &l.Instance, &l.Version, &since, &until); err != nil {
			return err
		}
		l.Since, l.Until = fromMicros(since), fromMicros(until)
		all = append(all, l)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("who holds %s: %w", secret, explain(err))
	}
	return all, nil
}

// Counts returns by secret and version how many instances hold it.
func (db Holders) Counts(ctx context.Context) (map[string]map[string]int, error) {
	counts := map[string]map[string]int{}
	err := db.reads.rows(ctx, db.reader, sqlHoldersCount, []any{micros(db.clock.now())}, func(row scanner) error {
		var secret, version string
		var n int
		if err := row.Scan(&secret, &version, &n); err != nil {
			return err
		}
		if counts[secret] == nil {
			counts[secret] = map[string]int{}
		}
		counts[secret][version] = n
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("count holders: %w", explain(err))
	}
	return counts, nil
}

// Listen says that a server is there for instances to report to, and drops what has
// expired. Call it every [ListenEvery].
func (db Holders) Listen(ctx context.Context) error {
	err := db.writer.do(ctx, holdersLock, func(t *tx) error {
		t.enqueue(sqlListen, micros(t.now), micros(t.now.Add(-listenGap)), micros(t.now.Add(listenGap)))
		_, err := t.exec(sqlExpiredHolders, micros(t.now))
		return err
	})
	if err != nil {
		return fmt.Errorf("listen for reports: %w", err)
	}
	return nil
}

// ListeningSince is since when instances could report without a gap; zero if they
// can't.
func (db Holders) ListeningSince(ctx context.Context) (time.Time, error) {
	var since, heard int64
	err := db.reads.row(ctx, db.reader, sqlListening, nil, &since, &heard)
	if isNoRows(err) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("since when instances report: %w", explain(err))
	}
	if ago := db.clock.now().Sub(fromMicros(heard)); ago > listenGap || ago < -listenGap {
		return time.Time{}, nil
	}
	return fromMicros(since), nil
}

// Instances implements [rotation.InstanceKeeper].
func (db Journal) Instances(ctx context.Context, secret string) (rotation.Instances, error) {
	since, err := Holders(db).ListeningSince(ctx)
	if err != nil {
		return rotation.Instances{}, err
	}
	leases, err := Holders(db).Of(ctx, secret)
	if err != nil {
		return rotation.Instances{}, err
	}
	found := rotation.Instances{ListeningSince: since}
	for _, l := range leases {
		found.Add(rotation.Instance{Principal: l.Principal, Name: l.Instance, Since: l.Since}, l.Version, l.Until)
	}
	return found, nil
}
