package rotation

import (
	"context"
	"fmt"
)

// snapshot reads everything that the journal keeps about a secret.
func (r *Rotator) snapshot(ctx context.Context, s *Secret) (Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, r.CallTimeout)
	defer cancel()
	peers := make([]string, len(s.Policy.ApartFrom))
	for i, a := range s.Policy.ApartFrom {
		peers[i] = a.Secret
	}
	snapshot, err := r.Journal.Load(ctx, s.Name, peers...)
	if err != nil {
		return Snapshot{}, fmt.Errorf("%s: %w", s.Name, err)
	}
	return snapshot, nil
}

// load starts a turn from what the journal keeps: the secret's progress, and
// the constraints that come from elsewhere.
func (w *turn) load(ctx context.Context) error {
	snapshot, err := w.snapshot(ctx, w.s)
	if err != nil {
		return err
	}
	w.progress, w.halts, w.restoredAt = snapshot.Progress, snapshot.Halts, snapshot.RestoredAt
	w.peers = w.s.peersIn(snapshot)
	return nil
}

// reloadPeers reads the peers again in the middle of a turn, whose own progress
// is ahead of the journal's.
func (w *turn) reloadPeers(ctx context.Context) error {
	snapshot, err := w.snapshot(ctx, w.s)
	if err != nil {
		return err
	}
	w.peers = w.s.peersIn(snapshot)
	return nil
}

// peersIn gives the state of each secret that this one is kept apart from.
func (s *Secret) peersIn(snapshot Snapshot) []Peer {
	var peers []Peer
	for _, a := range s.Policy.ApartFrom {
		status := snapshot.Peers[a.Secret]
		peers = append(peers, Peer{Apart: a, IssuedAt: status.IssuedAt, RotateAt: status.RotateAt, BegunAt: status.BegunAt})
	}
	return peers
}
