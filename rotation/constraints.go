package rotation

import (
	"context"
	"fmt"
)

// constraints reads what others say about the secret: people who hold it back,
// the secrets that it is to be kept apart from, and whether all was put back to
// an older state.
func (w *turn) constraints(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, w.CallTimeout)
	defer cancel()
	if h, ok := w.Journal.(Halter); ok {
		var err error
		if w.halts, err = h.Halts(ctx, w.s.Name); err != nil {
			return err
		}
	}
	if err := w.restored(ctx); err != nil {
		return err
	}
	return w.readPeers(ctx)
}

// readPeers looks how the secrets stand that this one is to be kept apart from.
func (w *turn) readPeers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, w.CallTimeout)
	defer cancel()
	w.peers = nil
	for _, a := range w.s.Policy.ApartFrom {
		p, err := w.Journal.Load(ctx, a.Secret)
		if err != nil {
			return fmt.Errorf("the secret to be kept apart from: %w", err)
		}
		w.peers = append(w.peers, Peer{
			Apart: a, IssuedAt: p.Status.IssuedAt, RotateAt: p.Status.RotateAt, BegunAt: p.Status.BegunAt,
		})
	}
	return nil
}
