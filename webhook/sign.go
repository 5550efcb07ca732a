package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rota-dev/rota"
)

// The headers of a signed message.
const (
	HeaderID        = "Webhook-Id"        // the event's id: the same id is the same event
	HeaderTimestamp = "Webhook-Timestamp" // unix seconds
	HeaderSignature = "Webhook-Signature" // one "v1,…" per key, separated by blanks
)

// Tolerance is how far apart the sender's and the receiver's clocks may be, and
// how long a message that somebody recorded can be replayed.
const Tolerance = 5 * time.Minute

// ErrSignature means that none of the keys signed the message, or that its
// timestamp is more than [Tolerance] away.
var ErrSignature = errors.New("webhook: the signature is wrong")

// Sign sets the headers of a message. With several keys each of them signs, so
// that receivers can switch from one to the next.
func Sign(h http.Header, id string, body []byte, now time.Time, keys ...[]byte) {
	timestamp := strconv.FormatInt(now.Unix(), 10)
	signatures := make([]string, len(keys))
	for i, k := range keys {
		signatures[i] = "v1," + base64.StdEncoding.EncodeToString(mac(k, id, timestamp, body))
	}
	h.Set(HeaderID, id)
	h.Set(HeaderTimestamp, timestamp)
	h.Set(HeaderSignature, strings.Join(signatures, " "))
}

func mac(key []byte, id, timestamp string, body []byte) []byte {
	m := hmac.New(sha256.New, key)
	fmt.Fprintf(m, "%s.%s.", id, timestamp)
	m.Write(body)
	return m.Sum(nil)
}

// Verify proves that one of the keys signed the body, and did so recently. It
// compares in constant time. body must be the bytes as they were received:
// JSON that was decoded and encoded again has another signature. Most receivers
// use a [Receiver], which also reads the body.
func Verify(h http.Header, body []byte, now time.Time, keys ...[]byte) error {
	id, timestamp := h.Get(HeaderID), h.Get(HeaderTimestamp)
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || id == "" || now.Sub(time.Unix(seconds, 0)).Abs() > Tolerance {
		return ErrSignature
	}
	for part := range strings.FieldsSeq(h.Get(HeaderSignature)) {
		text, ok := strings.CutPrefix(part, "v1,")
		if !ok {
			continue // of another version
		}
		signature, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			continue
		}
		for _, k := range keys {
			if hmac.Equal(signature, mac(k, id, timestamp, body)) {
				return nil
			}
		}
	}
	return ErrSignature
}

// MinKey is the length of the shortest key that is good enough, in bytes.
const MinKey = 16

// ParseKey reads a key as rota.yaml has it: "whsec_" and base64, as in the
// specification, or else the text itself.
func ParseKey(text string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(text, "whsec_")
	if !ok {
		return []byte(text), nil
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, rota.WithRemedies(errors.New("webhook: a key that begins with whsec_ goes on in base64"), rota.Outside("openssl rand -base64 32"))
	}
	return key, nil
}
