package crash

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/random"
	"github.com/rota-dev/rota/rotation"
)

func TestRandomKeysThroughEveryFault(t *testing.T) {
	t.Parallel()
	matrix(t, "random keys", 32, life{
		name: "a ring of secret keys", build: inOwnStore(keyRing), steps: lifeOfRing,
		kinds: func(call) []kind { return []kind{failsBefore, replyLost, dies, repeated} },
	})
}

var lifeOfRing = []step{
	{name: "day 0", done: isIssued},
	{name: "day 90", after: 90 * rota.Day, done: isRotated},
	{name: "day 110, by hand", after: 20 * rota.Day, ask: rotateNow, done: isRotated},
	{name: "day 112, rolled back", after: 2 * rota.Day, ask: rollBack, done: isRolledBack},
	{name: "day 180", after: 68 * rota.Day, done: isRotated},
}

// ring is what consumers read of a key ring.
type ring struct {
	Keys []struct {
		ID   string `json:"kid"`
		Ends int64  `json:"exp"`
	} `json:"keys"`
}

// has reports whether what was signed with a key is still accepted.
func (r ring) has(id string, now time.Time) bool {
	for _, k := range r.Keys {
		if k.ID == id {
			return k.Ends == 0 || now.Unix() < k.Ends
		}
	}
	return false
}

func ringOf(c rota.Credential) (r ring, err error) {
	err = json.Unmarshal([]byte(c.Field(random.FieldKeys)), &r)
	return r, err
}

// keyRing is a ring of secret keys. No system knows it: a key works if all who
// verify accept it, whether they have the ring of before or the new one.
func keyRing(t testing.TB, s *scene) fixture {
	issuer, err := random.NewSecretKeys(random.SecretKeysConfig{Config: random.Config{Now: s.w.clock}})
	if err != nil {
		t.Fatal(err)
	}
	return fixture{
		connect: func(_ *process, secret *rotation.Secret) error { secret.Issuer = issuer; return nil },
		traits:  issuer.Traits(), id: issuer.CredentialID,
		works: func(c rota.Credential) (bool, error) {
			store, err := s.holds()
			if err != nil {
				return false, err
			}
			for _, verifier := range []rota.Credential{c, store.at(rota.LabelCurrent)} {
				if verifier.IsZero() {
					continue
				}
				r, err := ringOf(verifier)
				if err != nil || !r.has(issuer.CredentialID(c), s.w.clock()) {
					return false, err
				}
			}
			return true, nil
		},
		exists: func() (map[string]bool, error) { return map[string]bool{}, nil },
	}
}
