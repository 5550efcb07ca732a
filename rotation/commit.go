package rotation

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/rota-dev/rota"
)

// StoreChange is one change of a secret's own store: a version to put, or a
// label to move. One of the two is set.
type StoreChange struct {
	Put  *rota.PutRequest
	Move *rota.MoveRequest
}

// StoreKeeper is implemented by journals that keep the secrets' stores as well.
// What a step changes there commits together with its audit entries and its
// progress, and the store is read together with the journal.
type StoreKeeper interface {
	// KeepsStore says whether this store of the secret's is the one that Commit
	// changes and that [Snapshot].Contents describes.
	KeepsStore(secret string, s rota.Store) bool
	// Commit is Save together with changes of the secret's store, in order, and
	// returns what the store holds after them, nothing if the lease was given
	// back as well. If one is refused, for example with [rota.ErrConflict],
	// nothing is written.
	Commit(ctx context.Context, r SaveRequest, changes []StoreChange) (rota.Contents, error)
}

// storeKeeper returns the journal if it keeps the secret's store, or nil.
func (l *ledger) storeKeeper() StoreKeeper {
	if keeper, ok := l.Journal.(StoreKeeper); ok && keeper.KeepsStore(l.s.Name, l.s.Store) {
		return keeper
	}
	return nil
}

// takeContents returns what the store held at the last read or commit of the
// journal, if no call has been made outside since: then nothing can have
// happened that the turn should know about. They are taken once.
func (l *ledger) takeContents() (rota.Contents, bool) {
	c := l.contents
	l.contents = nil
	if c == nil {
		return rota.Contents{}, false
	}
	return *c, true
}

func putChange(version string, c rota.Credential, labels ...rota.Label) StoreChange {
	return StoreChange{Put: &rota.PutRequest{Version: version, Credential: c, Labels: labels}}
}

func moveChange(l rota.Label, from, to string) StoreChange {
	return StoreChange{Move: &rota.MoveRequest{Label: l, From: from, To: to}}
}

// begin writes down a step whose only effect is in the secret's store. If that
// store commits with the journal, the entry waits for the effect's commit.
func (l *ledger) begin(ctx context.Context, d Decision) error {
	if l.storeKeeper() == nil || l.peersAtSave != nil {
		return l.writeAhead(ctx, d)
	}
	l.enter(d, "", OutcomeBegun, d.Reason)
	l.markInFlight()
	return nil
}

// mark returns a function that takes back everything noted since.
func (l *ledger) mark() (undo func()) {
	progress, entries := l.progress, len(l.entries)
	progress.Versions = maps.Clone(progress.Versions)
	return func() { l.progress, l.entries = progress, l.entries[:entries] }
}

// change carries out what a step changes in the store, and notes its outcome;
// succeeded notes what to remember if it went well. If the store commits with
// the journal, all of that is one commit: where it fails, nothing happened.
func (t *turn) change(ctx context.Context, d Decision, succeeded func(), changes ...StoreChange) error {
	if t.ledger.storeKeeper() == nil {
		err := t.outside.changeStore(ctx, changes...)
		t.ledger.noteOutcome(d, "", err)
		if err == nil {
			succeeded()
		}
		return err
	}
	undo := t.ledger.mark()
	t.ledger.noteOutcome(d, "", nil)
	succeeded()
	err := t.outside.commit(ctx, changes)
	if err != nil {
		undo()
		t.ledger.noteOutcome(d, "", err)
	}
	return err
}

// commit writes the changes with everything else that isn't durable yet. It
// renews the lease by itself; to renew it before would write down a success
// ahead of the change.
func (o *outside) commit(ctx context.Context, changes []StoreChange) error {
	name, object := changes[0].describe()
	return changes[0].failed(o.repeat(ctx, 4, func(ctx context.Context) error {
		return o.traced(ctx, Span{Name: name, Object: object}, func(ctx context.Context) error {
			return o.ledger.write(ctx, false, changes...)
		})
	}))
}

// changeStore makes the changes one after the other, up to the first that fails.
func (o *outside) changeStore(ctx context.Context, changes ...StoreChange) error {
	for _, c := range changes {
		name, object := c.describe()
		err := o.retry(ctx, 4, name, object, func(ctx context.Context) error {
			if c.Put != nil {
				return o.s.Store.Put(ctx, *c.Put)
			}
			return o.s.Store.Move(ctx, *c.Move)
		})
		if err != nil {
			return c.failed(err)
		}
	}
	return nil
}

// describe names the change as a [Span] does.
func (c StoreChange) describe() (name, object string) {
	if c.Put != nil {
		return "store.put", c.Put.Version
	}
	return "store.move", string(c.Move.Label)
}

// failed says for people what could not be done.
func (c StoreChange) failed(err error) error {
	switch {
	case err == nil:
		return nil
	case c.Put != nil:
		return fmt.Errorf("store the new credential: %w", err)
	case c.Move.Label == rota.LabelCurrent:
		return fmt.Errorf("promote: %w", err)
	case c.Move.To == "":
		return fmt.Errorf("take %s off: %w", c.Move.Label, err)
	case c.Move.Label == rota.LabelServed:
		return fmt.Errorf("mark as served: %w", err)
	}
	return fmt.Errorf("move %s: %w", c.Move.Label, err)
}

// moveLater leaves a label's move to the next commit, which belongs to the next
// step or ends the turn. Until then [ledger.foresee] shows it to the planner.
func (l *ledger) moveLater(label rota.Label, from, to string) {
	l.deferred = append(l.deferred, moveChange(label, from, to))
}

// foresee puts the labels where the next commit will.
func (l *ledger) foresee(versions []rota.Version) {
	for _, c := range l.deferred {
		relabel(versions, c.Move.Label, c.Move.To)
	}
}

// overtaken drops the deferred moves if someone else moved those labels in the
// meantime: the planner sees what is missing, and moves them again.
func (l *ledger) overtaken(err error) bool {
	if len(l.deferred) == 0 || !errors.Is(err, rota.ErrConflict) && !errors.Is(err, rota.ErrNotFound) {
		return false
	}
	l.deferred = nil
	return true
}
