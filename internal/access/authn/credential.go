package authn

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/rota-dev/rota/internal/access"
)

// credential is what a request presents as proof of who sent it. A request is
// read once, here: what verifies it, what counts it against a limit and what
// checks it again later can't take it for different credentials.
type credential struct {
	keyID string // the access key it claims to be; "" if it names none, or what can't be one
	// share identifies it among the credentials used at an address: the access
	// key, the ID token or the certificate. It's zero if there is none.
	share share
	// verify returns the caller, without the address, if the proof holds. body
	// is the request's.
	verify func(ctx context.Context, body []byte) (access.Caller, error)
}

type share [sha256.Size]byte

func newShare(kind, content string) share { return sha256.Sum256([]byte(kind + " " + content)) }

// invalid is a credential that proves nothing.
func invalid(err error) credential {
	return credential{verify: func(context.Context, []byte) (access.Caller, error) { return access.Caller{}, err }}
}

// credential reads the one that the request chose: a certificate doesn't make
// up for an invalid Authorization header.
func (a *Authenticator) credential(r *http.Request) credential {
	switch headers := r.Header.Values("Authorization"); len(headers) {
	case 0:
		return a.certificateOf(r.TLS)
	case 1:
		scheme, rest, _ := strings.Cut(headers[0], " ")
		switch {
		case scheme == "AWS4-HMAC-SHA256":
			return a.signature(r)
		case strings.EqualFold(scheme, "Bearer"):
			return a.bearer(strings.TrimSpace(rest))
		}
		return invalid(errors.New("the Authorization scheme is neither AWS4-HMAC-SHA256 nor Bearer"))
	default:
		return invalid(errors.New("several Authorization headers"))
	}
}

func (a *Authenticator) certificateOf(state *tls.ConnectionState) credential {
	if state == nil || len(state.VerifiedChains) == 0 || len(state.VerifiedChains[0]) == 0 {
		return invalid(errNoCredentials)
	}
	cert := state.VerifiedChains[0][0]
	return credential{
		share: newShare("certificate", string(cert.Raw)),
		verify: func(context.Context, []byte) (access.Caller, error) {
			if a.opts.Trust != nil {
				if err := a.opts.Trust(state); err != nil {
					return access.Caller{}, fmt.Errorf("the client certificate isn't trusted any more: %w", err)
				}
			}
			return a.certificate(cert)
		},
	}
}

func (a *Authenticator) signature(r *http.Request) credential {
	if a.opts.SigV4 == nil {
		return invalid(errors.New("signatures are not accepted"))
	}
	id, check, err := a.opts.SigV4(r)
	if err != nil {
		c := invalid(withClaim(id, fmt.Errorf("signature: %w", err)))
		c.keyID = claimedKey(id)
		return c
	}
	return a.key(id, "sigv4", func(login *access.Login, secret access.Secret, body []byte) error {
		if err := check(body, secret.Reveal()); err != nil {
			return fmt.Errorf("signature: %w", err)
		}
		if login == nil {
			return errors.New("signature: no such key")
		}
		return nil
	})
}

func (a *Authenticator) bearer(token string) credential {
	if !access.IsToken(token) {
		if a.opts.Tokens == nil {
			return invalid(errors.New("ID tokens are not accepted"))
		}
		return credential{
			share:  newShare("ID token", token),
			verify: func(ctx context.Context, _ []byte) (access.Caller, error) { return a.opts.Tokens.Verify(ctx, token) },
		}
	}
	id, given, ok := access.ParseToken(token)
	if !ok {
		return invalid(errors.New("a truncated or mistyped Rota token"))
	}
	return a.key(id, "token", func(login *access.Login, secret access.Secret, _ []byte) error {
		if same := secret.Equal(given); login == nil || !same {
			return fmt.Errorf("key %s: no such key, or a different secret", id)
		}
		return nil
	})
}

// key is an access key, used in either way. For an unknown one, check gets no
// login, and a secret that nobody has.
func (a *Authenticator) key(id, method string, check func(login *access.Login, secret access.Secret, body []byte) error) credential {
	return credential{
		keyID: claimedKey(id),
		share: newShare("key", id),
		verify: func(ctx context.Context, body []byte) (access.Caller, error) {
			login, secret, err := a.login(ctx, id)
			if err == nil {
				err = check(login, secret, body)
			}
			if err != nil {
				return access.Caller{}, withClaim(id, err)
			}
			return a.keyCaller(*login, method)
		},
	}
}

// claimedKey is the id if it looks like one. Anything else could be anything,
// including a secret.
func claimedKey(id string) string {
	if !access.IsKeyID(id) {
		return ""
	}
	return id
}
