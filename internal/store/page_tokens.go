package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/tink"
)

// pageTokensID names the data key that encrypts page tokens. No secret can have
// this name.
const pageTokensID = "(page tokens)" //nolint:gosec // no credential, but the name of its key

// PageTokens encrypts what a server hands to a client to get back later, such as
// the position in a list. Every replica opens what another one sealed.
func (db *DB) PageTokens() PageTokens { return PageTokens{db.core} }

// PageTokens is [DB.PageTokens].
type PageTokens struct{ db *core }

// Seal encrypts and authenticates a text.
func (p PageTokens) Seal(ctx context.Context, text []byte) ([]byte, error) {
	key, err := p.db.keys.find(ctx, p.db.reader, pageTokensID)
	if key == nil && err == nil {
		key, err = p.makeKey(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("page tokens: %w", err)
	}
	return key.Encrypt(text, associated(pageTokensID))
}

// makeKey makes the data key. If another replica was faster, it's that one's.
func (p PageTokens) makeKey(ctx context.Context) (tink.AEAD, error) {
	var key tink.AEAD
	err := p.db.writer.do(ctx, secretLock(pageTokensID), func(t *tx) (err error) {
		key, err = p.db.keys.dataKey(t, pageTokensID, true)
		return err
	})
	return key, err
}

// Open decrypts what Seal returned. It's nil if Seal didn't return that.
func (p PageTokens) Open(ctx context.Context, sealed []byte) ([]byte, error) {
	key, err := p.db.keys.find(ctx, p.db.reader, pageTokensID)
	if err != nil && !errors.Is(err, errNoDataKey) {
		return nil, fmt.Errorf("page tokens: %w", err)
	}
	if key == nil {
		return nil, nil
	}
	text, err := key.Decrypt(sealed, associated(pageTokensID))
	if err != nil {
		return nil, nil //nolint:nilerr // as documented: it's not one of ours
	}
	return text, nil
}
