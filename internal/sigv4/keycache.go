package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"sync"
)

// maxCachedKeys bounds the cached signing keys, about 300 bytes each.
const maxCachedKeys = 4096

// keyCache caches the keys derived from a secret for a day, region and service:
// deriving one costs more than the rest of a verification.
type keyCache struct {
	mu   sync.Mutex
	keys map[scopedKey]signingKey
}

type scopedKey struct{ id, day, region, service string }

type signingKey struct {
	secret [sha256.Size]byte // a hash, which is never zero: the key is valid for this secret only
	key    []byte
}

// derive returns the signing key for the signature's scope.
func (c *keyCache) derive(s Signature, secret string) []byte {
	at := scopedKey{s.KeyID, s.Day, s.Region, s.Service}
	sum := sha256.Sum256([]byte(secret))
	c.mu.Lock()
	found := c.keys[at]
	c.mu.Unlock()
	if subtle.ConstantTimeCompare(found.secret[:], sum[:]) == 1 {
		return found.key
	}
	key := []byte("AWS4" + secret)
	for _, part := range []string{s.Day, s.Region, s.Service, scopeEnd} {
		key = sign(key, []byte(part))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.keys == nil {
		c.keys = map[scopedKey]signingKey{}
	}
	for other := range c.keys {
		if len(c.keys) < maxCachedKeys {
			break
		}
		delete(c.keys, other) // any will do: it's derived again when needed
	}
	c.keys[at] = signingKey{sum, key}
	return key
}

func sign(key, text []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(text)
	return mac.Sum(nil)
}
