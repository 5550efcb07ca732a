// Package anchor keeps signed heads of the audit's chain outside the database:
// in a file, a webhook's receiver or an S3 bucket. Someone who changes the
// database, or truncates the audit, can't change what's anchored.
package anchor

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// Head is the end of the audit's chain at one moment, signed.
type Head struct {
	Seq       int64     `json:"seq"`       // the last entry's number
	Hash      string    `json:"hash"`      // the last entry's hash, hexadecimal
	At        time.Time `json:"at"`        // when it was signed
	Key       string    `json:"key"`       // the public key, Ed25519, hexadecimal
	Signature string    `json:"signature"` // of SigningInput, hexadecimal
}

// SigningInput returns the bytes to sign: a version tag, then number, hash and
// time, each after a newline.
func (h Head) SigningInput() []byte {
	return fmt.Appendf(nil, "rota audit head 1\n%d\n%s\n%s", h.Seq, h.Hash, h.At.UTC().Format(time.RFC3339Nano))
}

// ErrForged means that a head wasn't signed with the expected key.
var ErrForged = errors.New("not signed with this audit's key")

// Verify checks that the head was signed with the key.
func (h Head) Verify(key ed25519.PublicKey) error {
	signature, err := hex.DecodeString(h.Signature)
	if err != nil || h.Key != hex.EncodeToString(key) || !ed25519.Verify(key, h.SigningInput(), signature) {
		return fmt.Errorf("head of entry %d: %w", h.Seq, ErrForged)
	}
	return nil
}

// Destination stores heads. Its methods must be safe for concurrent use.
type Destination interface {
	// Name is for people, such as "file /mnt/heads".
	Name() string
	// Put stores a head durably. Storing the same head again is a no-op.
	Put(ctx context.Context, h Head) error
	// Heads returns the stored heads, oldest first, or [ErrWriteOnly] if the
	// destination can't be read. With a [*StrayError] it returns heads, too.
	Heads(ctx context.Context) ([]Head, error)
}

// ErrWriteOnly means that a destination accepts heads but can't return them.
var ErrWriteOnly = errors.New("heads can't be read back from this destination")

// StrayError means that something else is among the heads of a destination.
type StrayError struct{ Places []string }

// Error names the first of them.
func (e *StrayError) Error() string {
	text := e.Places[0] + ": not a head of the audit"
	if more := len(e.Places) - 1; more > 0 {
		text += fmt.Sprintf(", and %d more", more)
	}
	return text
}

func strays(places []string) error {
	if len(places) == 0 {
		return nil
	}
	return &StrayError{places}
}
