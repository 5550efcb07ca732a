package store

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/signature"
	ed25519key "github.com/tink-crypto/tink-go/v2/signature/ed25519"

	"github.com/rota-dev/rota/internal/store/anchor"
)

// signingKeyID names the key that signs heads for anchoring. Unlike the seal,
// its signatures can be verified by anyone.
const signingKeyID = "audit-signing"

// SignedHead returns the audit's current end, signed, for anchoring elsewhere.
func (db Audit) SignedHead(ctx context.Context) (anchor.Head, error) {
	var signed anchor.Head
	err := db.writer.do(ctx, keysLock, func(t *tx) error {
		handle, err := db.keys.signing(t)
		if err != nil {
			return err
		}
		public, err := publicKey(handle)
		if err != nil {
			return err
		}
		// Not locked: someone waiting for the turn at the end must not hold it.
		var end sealedEnd
		if err := t.rows(sqlHead, nil, end.scan); err != nil {
			return err
		}
		if broken := end.check(db.keys, end.head); broken != nil {
			return broken
		}
		signer, err := signature.NewSigner(handle)
		if err != nil {
			return err
		}
		h := anchor.Head{Seq: end.seq, Hash: hex.EncodeToString(end.hash[:]), At: t.now.UTC(), Key: hex.EncodeToString(public)}
		proof, err := signer.Sign(h.SigningInput())
		if err != nil {
			return err
		}
		h.Signature = hex.EncodeToString(proof)
		signed = h
		return nil
	})
	if err != nil {
		return anchor.Head{}, fmt.Errorf("sign the audit's head: %w", err)
	}
	return signed, nil
}

// End is the number of the audit's last entry, 0 for none.
func (db Audit) End(ctx context.Context) (int64, error) {
	var end int64
	err := db.reader.QueryRowContext(ctx, sqlAuditEnd).Scan(&end)
	if err != nil && !isNoRows(err) {
		return 0, fmt.Errorf("the audit's end: %w", explain(err))
	}
	return end, nil
}

// signing opens the signing key, creating it on first use.
func (k *keys) signing(t *tx) (*keyset.Handle, error) {
	var wrapped []byte
	found, err := t.row(sqlDataKey, []any{signingKeyID}, &wrapped)
	if err != nil {
		return nil, err
	}
	if !found {
		if wrapped, err = k.create(t, signingKeyID, signature.ED25519KeyWithoutPrefixTemplate()); err != nil {
			return nil, err
		}
	}
	return k.open(t.row, wrapped, signingKeyID)
}

func publicKey(private *keyset.Handle) (ed25519.PublicKey, error) {
	handle, err := private.Public()
	if err != nil {
		return nil, err
	}
	entry, err := handle.Primary()
	if err != nil {
		return nil, err
	}
	key, ok := entry.Key().(*ed25519key.PublicKey)
	if !ok {
		return nil, errors.New("the key that signs heads is not an Ed25519 key")
	}
	return key.KeyBytes(), nil
}

// VerifyHeads compares anchored heads with the current chain: each must be
// signed with this audit's key and be in the chain. If entries were cut off,
// replaced by an older state or rechained, the error is a [*TamperError]. If there's
// nothing worse than a head that someone else signed, it is [anchor.ErrForged]:
// whoever added that one mustn't hide what the others show.
func (db Audit) VerifyHeads(ctx context.Context, heads []anchor.Head) error {
	if len(heads) == 0 {
		return nil
	}
	now, err := db.SignedHead(ctx)
	if err != nil {
		return err
	}
	key, err := hex.DecodeString(now.Key)
	if err != nil {
		return err
	}
	var forged error
	for _, h := range heads {
		if err := h.Verify(key); err != nil {
			forged = cmp.Or(forged, err)
			continue
		}
		if h.Seq > now.Seq {
			return &TamperError{Seq: now.Seq + 1, Reason: fmt.Sprintf("this entry and everything after it were cut off: the head of entry %d was anchored at %s", h.Seq, h.At.UTC().Format("2006-01-02 15:04:05Z"))}
		}
		if err := db.containsHead(ctx, h); err != nil {
			return err
		}
	}
	return forged
}

// containsHead checks that the head's entry is in the chain with the same hash.
func (db *core) containsHead(ctx context.Context, h anchor.Head) error {
	if h.Seq == 0 {
		return nil // of the empty chain: nothing precedes it
	}
	var hash []byte
	err := db.reader.QueryRowContext(ctx, sqlAuditHash, h.Seq).Scan(&hash)
	switch {
	case isNoRows(err):
		return &TamperError{Seq: h.Seq, Reason: "the entry is missing"}
	case err != nil:
		return fmt.Errorf("verify the anchored heads: %w", err)
	case hex.EncodeToString(hash) != h.Hash:
		return &TamperError{Seq: h.Seq, Reason: "its hash differs from the one anchored at " + h.At.UTC().Format("2006-01-02 15:04:05Z")}
	}
	return nil
}
