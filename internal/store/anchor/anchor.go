// Package anchor keeps signed heads of the audit's chain in places outside the
// database: a file, a webhook, an S3 bucket. Whoever changes the database, or
// cuts off the audit's end, can't change what is there.
package anchor

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// Head is the end of the audit's chain at a moment, signed.
type Head struct {
	Seq       int64     `json:"seq"`       // the last entry's number
	Hash      string    `json:"hash"`      // the last entry's hash, hexadecimal
	At        time.Time `json:"at"`        // when it was signed
	Key       string    `json:"key"`       // the public key, Ed25519, hexadecimal
	Signature string    `json:"signature"` // of Signed, hexadecimal
}

// SigningInput is the bytes that the signature is of: a version's tag, then number,
// hash and time, each after a newline.
func (h Head) SigningInput() []byte {
	return fmt.Appendf(nil, "rota audit head 1\n%d\n%s\n%s", h.Seq, h.Hash, h.At.UTC().Format(time.RFC3339Nano))
}

// ErrForged tells that a head was not signed with the key that was expected.
var ErrForged = errors.New("not signed with this audit's key")

// Verify proves that the head was signed with the key.
func (h Head) Verify(key ed25519.PublicKey) error {
	signature, err := hex.DecodeString(h.Signature)
	if err != nil || h.Key != hex.EncodeToString(key) || !ed25519.Verify(key, h.SigningInput(), signature) {
		return fmt.Errorf("head of entry %d: %w", h.Seq, ErrForged)
	}
	return nil
}

// Destination keeps heads. Its methods may be called at the same time.
type Destination interface {
	// Name is for people, such as "file /mnt/heads".
	Name() string
	// Put keeps a head, durably. The same head again is no error.
	Put(ctx context.Context, h Head) error
	// Heads gives what is kept, the oldest first; [ErrWriteOnly] where that
	// can't be asked.
	Heads(ctx context.Context) ([]Head, error)
}

// ErrWriteOnly tells that a place takes heads but gives none back.
var ErrWriteOnly = errors.New("heads can't be read back from there")
