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
// progress, in [SaveRequest].Changes, rather than one after the other.
type StoreKeeper interface {
	// KeepsStore says whether Save carries out changes of this store of the
	// secret's.
	KeepsStore(secret string, s rota.Store) bool
}

func (w *turn) keepsStore() bool {
	keeper, ok := w.Journal.(StoreKeeper)
	return ok && keeper.KeepsStore(w.s.Name, w.s.Store)
}

func putChange(version string, c rota.Credential, labels ...rota.Label) StoreChange {
	return StoreChange{Put: &rota.PutRequest{Version: version, Credential: c, Labels: labels}}
}

func moveChange(l rota.Label, from, to string) StoreChange {
	return StoreChange{Move: &rota.MoveRequest{Label: l, From: from, To: to}}
}

// begin writes down a step whose only effect is in the secret's store. Where
// that store commits with the journal, the entry waits for the effect's commit.
func (w *turn) begin(ctx context.Context, d Decision) error {
	if !w.keepsStore() || w.peersAtSave != nil {
		return w.writeAhead(ctx, d)
	}
	w.entry(d, "", OutcomeBegun, d.Reason)
	w.markInFlight()
	return nil
}

// change carries out what a step changes in the store, and notes its outcome.
// What is to be remembered when it went well is noted by done. Where the store
// commits with the journal, all of it is one commit, or none of it happened.
func (w *turn) change(ctx context.Context, d Decision, done func(), changes ...StoreChange) error {
	if w.keepsStore() {
		return w.commit(ctx, d, done, changes)
	}
	var err error
	for _, c := range changes {
		if err = w.changeStore(ctx, c); err != nil {
			break
		}
	}
	w.noteOutcome(d, "", err)
	if err == nil {
		done()
	}
	return err
}

func (w *turn) commit(ctx context.Context, d Decision, done func(), changes []StoreChange) error {
	before, noted := w.progress, len(w.entries)
	before.Versions = maps.Clone(before.Versions)
	w.noteOutcome(d, "", nil)
	done()
	name, object := changes[0].describe()
	err := w.retry(ctx, 4, name, object, func(ctx context.Context) error { return w.write(ctx, false, changes...) })
	if err == nil {
		return nil
	}
	w.progress, w.entries = before, w.entries[:noted]
	err = changes[0].failed(err)
	w.noteOutcome(d, "", err)
	return err
}

func (w *turn) changeStore(ctx context.Context, c StoreChange) error {
	name, object := c.describe()
	return c.failed(w.retry(ctx, 4, name, object, func(ctx context.Context) error {
		if c.Put != nil {
			return w.s.Store.Put(ctx, *c.Put)
		}
		return w.s.Store.Move(ctx, *c.Move)
	}))
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

// later leaves a label's move to the next commit, which belongs to the next step
// or ends the turn. Until then [turn.foresee] shows it to the planner.
func (w *turn) later(l rota.Label, from, to string) {
	w.deferred = append(w.deferred, moveChange(l, from, to))
}

// foresee puts the labels as the next commit will.
func (w *turn) foresee(versions []rota.Version) {
	for _, c := range w.deferred {
		relabel(versions, c.Move.Label, c.Move.To)
	}
}

// overtaken drops the moves that were left to a commit where somebody else has
// moved those labels: the planner sees what is missing, and moves them anew.
func (w *turn) overtaken(err error) bool {
	if len(w.deferred) == 0 || !errors.Is(err, rota.ErrConflict) && !errors.Is(err, rota.ErrNotFound) {
		return false
	}
	w.deferred = nil
	return true
}
