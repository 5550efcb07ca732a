package rotation

import (
	"context"
	"time"
)

// constraints are what limits a turn from elsewhere: they come from the journal
// and aren't the turn's to change.
type constraints struct {
	halts      Halts
	restoredAt time.Time // when the journal was last put back to an older state
	peers      []Peer
}

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
		return Snapshot{}, &SecretError{Secret: s.Name, Err: err}
	}
	return snapshot, nil
}

// load starts a turn from what the journal keeps.
func (l *ledger) load(ctx context.Context) error {
	snapshot, err := l.snapshot(ctx, l.s)
	if err != nil {
		return err
	}
	l.progress = snapshot.Progress
	l.constraints = constraints{halts: snapshot.Halts, restoredAt: snapshot.RestoredAt, peers: l.s.peersIn(snapshot)}
	if l.storeKeeper() != nil {
		l.contents = &snapshot.Contents
	}
	return nil
}

// reloadPeers reads the peers again in the middle of a turn, whose own progress
// is ahead of the journal's.
func (l *ledger) reloadPeers(ctx context.Context) error {
	snapshot, err := l.snapshot(ctx, l.s)
	if err != nil {
		return err
	}
	l.constraints.peers = l.s.peersIn(snapshot)
	return nil
}

// peersIn gives the status of each secret that this one is kept apart from.
func (s *Secret) peersIn(snapshot Snapshot) []Peer {
	var peers []Peer
	for _, a := range s.Policy.ApartFrom {
		status := snapshot.Peers[a.Secret]
		peers = append(peers, Peer{Apart: a, IssuedAt: status.IssuedAt, RotateAt: status.RotateAt, BegunAt: status.BegunAt})
	}
	return peers
}
