package store

import (
	"encoding/json"
	"fmt"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// peersLock serializes, across processes, saves that look at other secrets
// before writing their own: of two that look at each other, the second sees
// what the first wrote. Each secret's own row is protected by its fence.
const peersLock = "neighbors"

// checkPeers fails with [rota.ErrPeer] if a secret's status has changed since
// it was seen.
func (t *tx) checkPeers(seen []rotation.Peer) error {
	for _, n := range seen {
		var text []byte
		if _, err := t.row(sqlStatus, []any{n.Secret}, &text); err != nil {
			return err
		}
		var status rotation.Status
		if len(text) > 0 {
			if err := json.Unmarshal(text, &status); err != nil {
				return fmt.Errorf("status of secret %s: %w", n.Secret, err)
			}
		}
		if !n.SameAs(status) {
			return fmt.Errorf("%s: %w", n.Secret, rota.ErrPeer)
		}
	}
	return nil
}
