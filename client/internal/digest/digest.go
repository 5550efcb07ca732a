// Package digest names a secret's versions after their content, for sources that have no
// names for them.
package digest

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Key makes names that are good in this process alone. They're keyed, because versions
// are logged, and a plain hash would let a reader of the log try passwords.
type Key struct{ key [32]byte }

// New returns a random key.
func New() *Key {
	k := &Key{}
	_, _ = rand.Read(k.key[:]) // it never fails
	return k
}

// Of returns the name of a content's parts.
func (k *Key) Of(parts ...string) string {
	h := hmac.New(sha256.New, k.key[:])
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
