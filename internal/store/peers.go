package store

import (
	"encoding/json"
	"fmt"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// peersLock keeps apart, in all processes, whoever looks at other secrets
// before writing one's own: of two who look at each other the second one sees
// what the first one wrote. Its own row is safe by the fence.
const peersLock = "neighbors"

// checkPeers is [rota.ErrPeer] where a secret does not stand any more as it was
// seen.
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
