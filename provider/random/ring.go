package random

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// entry is one key of a ring. Of a pair's earlier keys, only the public half is
// left.
type entry struct {
	jose.JSONWebKey
	// Ends is when it's no longer accepted; zero for the next key, which isn't in
	// use yet.
	Ends time.Time
}

// MarshalJSON writes a JWK (RFC 7517) with its end as "exp", in seconds since
// 1970, which libraries that don't know it skip.
func (e entry) MarshalJSON() ([]byte, error) {
	text, err := e.JSONWebKey.MarshalJSON()
	if err != nil || e.Ends.IsZero() {
		return text, err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return nil, err
	}
	members["exp"] = fmt.Appendf(nil, "%d", e.Ends.Unix())
	return json.Marshal(members)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (e *entry) UnmarshalJSON(text []byte) error {
	var end struct {
		At int64 `json:"exp"`
	}
	if err := json.Unmarshal(text, &end); err != nil {
		return err
	}
	e.Ends = time.Time{}
	if end.At != 0 {
		e.Ends = time.Unix(end.At, 0)
	}
	return e.JSONWebKey.UnmarshalJSON(text)
}

// set is a JWK Set: the next key, the current one, and then earlier ones, the
// latest first.
type set struct {
	Keys []entry `json:"keys"`
}

func (s set) text() (string, error) {
	text, err := json.Marshal(s)
	return string(text), err
}

func parseSet(text string) (s set, err error) {
	err = json.Unmarshal([]byte(text), &s)
	return s, err
}

// find returns the key with an id.
func (s set) find(id string) (entry, bool) {
	for _, e := range s.Keys {
		if e.KeyID == id && id != "" {
			return e, true
		}
	}
	return entry{}, false
}

// succeed is the ring after this one: its next key becomes the current one, and
// earlier ones that have ended are left out, as are revoked ones. The empty ring's
// successor is a first ring. The key that was current until now stays even if it
// has ended, since it was in use.
func (s set) succeed(now time.Time, lifetime time.Duration, revoked []string, generate func() (jose.JSONWebKey, error)) (set, error) {
	keys := slices.DeleteFunc(slices.Clone(s.Keys), func(e entry) bool { return slices.Contains(revoked, e.KeyID) })
	if len(keys) == 0 || !keys[0].Ends.IsZero() {
		first, err := generate()
		if err != nil {
			return set{}, err
		}
		keys = slices.Insert(keys, 0, entry{JSONWebKey: first})
	}
	keys[0].Ends = now.Add(lifetime).Truncate(time.Second)
	next, err := generate()
	if err != nil {
		return set{}, err
	}
	after := set{Keys: []entry{{JSONWebKey: next}}}
	for i, e := range keys {
		if i < 2 || now.Before(e.Ends) {
			after.Keys = append(after.Keys, e)
		}
	}
	return after, nil
}

// newSecret is n random bytes as a JWK. The id is derived from them, so that an
// id with another key is noticed. 12 bytes of a hash say nothing about a key of
// 16 random bytes or more.
func newSecret(n int, algorithm string) jose.JSONWebKey {
	secret := make([]byte, n)
	_, _ = rand.Read(secret) // never fails
	return jose.JSONWebKey{Key: secret, KeyID: secretID(secret), Algorithm: algorithm}
}

func secretID(secret []byte) string {
	sum := sha256.Sum256(append([]byte("rota key id\x00"), secret...))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}
