package secretsmanager

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
)

// TokenSealer encrypts the positions in lists that clients get as a NextToken: a
// position can be the name and the date of a secret that the caller may not see.
type TokenSealer interface {
	Seal(ctx context.Context, text []byte) ([]byte, error)
	// Open returns nil for what Seal didn't return.
	Open(ctx context.Context, sealed []byte) ([]byte, error)
}

// sealToken returns a position as a NextToken.
func (s *Server) sealToken(ctx context.Context, position any) (string, error) {
	text, err := json.Marshal(position)
	if err != nil {
		return "", err
	}
	sealed, err := s.opts.Tokens.Seal(ctx, text)
	return base64.RawURLEncoding.EncodeToString(sealed), err
}

// openToken reads a position from a NextToken.
func (s *Server) openToken(ctx context.Context, token string, position any) error {
	sealed, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return errBadToken()
	}
	text, err := s.opts.Tokens.Open(ctx, sealed)
	if err != nil {
		return err
	}
	if json.Unmarshal(text, position) != nil {
		return errBadToken()
	}
	return nil
}

// processTokens is [ProcessTokens].
type processTokens struct{ cipher.AEAD }

// ProcessTokens seals with a key of this process.
func ProcessTokens() TokenSealer {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("secretsmanager: " + err.Error()) // only for another length
	}
	sealer, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("secretsmanager: " + err.Error()) // only for another kind of block
	}
	return processTokens{sealer}
}

func (p processTokens) Seal(_ context.Context, text []byte) ([]byte, error) {
	return p.AEAD.Seal(nil, nil, text, nil), nil //nolint:gosec // the cipher chooses the nonce itself
}

func (p processTokens) Open(_ context.Context, sealed []byte) ([]byte, error) {
	text, err := p.AEAD.Open(nil, nil, sealed, nil)
	if err != nil {
		return nil, nil //nolint:nilerr // as documented: it's not one of ours
	}
	return text, nil
}
