package authn

import (
	"crypto/sha256"
	"net/http"
	"strings"

	"github.com/rota-dev/rota/internal/access"
)

// presented identifies the credential in a request, before it's verified: the
// key id of a signature, or else a hash of the whole token or certificate, which
// nobody else can present. It's zero if there is none.
type presented [sha256.Size]byte

func presentedBy(r *http.Request) presented {
	header := r.Header.Get("Authorization")
	switch id, signed := signingKey(header); {
	case signed:
		return sha256.Sum256([]byte("key " + id))
	case header != "":
		return sha256.Sum256([]byte("token " + header))
	case r.TLS != nil && len(r.TLS.VerifiedChains) > 0:
		return sha256.Sum256(append([]byte("certificate "), r.TLS.VerifiedChains[0][0].Raw...))
	}
	return presented{}
}

// claimedKey is the id of the key that a request claims to have; "" if it names
// none, or something that can't be one.
func claimedKey(r *http.Request) string {
	header := r.Header.Get("Authorization")
	id, signed := signingKey(header)
	if scheme, token, _ := strings.Cut(header, " "); !signed && strings.EqualFold(scheme, "Bearer") {
		id, _, _ = access.ParseToken(strings.TrimSpace(token))
	}
	if !access.IsKeyID(id) {
		return ""
	}
	return id
}

// signingKey returns the key id in the header of a signed request.
func signingKey(header string) (id string, signed bool) {
	rest, signed := strings.CutPrefix(header, "AWS4-HMAC-SHA256 ")
	if !signed {
		return "", false
	}
	_, rest, _ = strings.Cut(rest, "Credential=")
	id, _, _ = strings.Cut(rest, "/")
	return id, true
}
