package sigv4

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	unsigned = "UNSIGNED-PAYLOAD"

	// DefaultSkew is how far a signature's time may be from now.
	DefaultSkew = 5 * time.Minute
	// maxExpires is how long a presigned request may be valid, as at AWS.
	maxExpires = 7 * 24 * time.Hour
)

// Key is the secret part of an access key.
type Key struct {
	Secret string
	Token  string // the session token that goes with it; "" for a long-lived key
}

// Verifier checks signatures. The zero value is ready to use; its methods are
// safe for concurrent use.
type Verifier struct {
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
	// Skew is how far a signature's time may be from now, in either direction.
	// Defaults to DefaultSkew.
	Skew time.Duration
	// Service is the service that a signature must be for. Defaults to any.
	Service string
	// Presigned accepts requests that are signed in their query. Defaults to
	// false, because anyone who sees such a URL can use it until it expires.
	Presigned bool

	keys keyCache
}

// Verify reads a request's signature, looks up its key and checks it. body is
// the whole body, which the caller has read. It returns the key's id, and an
// [*Error] if the request is invalid. find's error is returned unchanged; it
// should be [UnknownKey] for a key that doesn't exist.
func (v *Verifier) Verify(r *http.Request, body []byte, find func(ctx context.Context, keyID string) (Key, error)) (string, error) {
	s, err := v.Read(r)
	if err != nil {
		return s.KeyID, err
	}
	key, err := find(r.Context(), s.KeyID)
	if err != nil {
		return s.KeyID, err
	}
	return s.KeyID, v.Check(r, body, s, key)
}

// Read reads a request's signature and checks everything that doesn't need the
// key. Even with an error, it returns what it could parse.
func (v *Verifier) Read(r *http.Request) (Signature, error) {
	s, err := Parse(r)
	if err == nil {
		err = v.CheckForm(r, s)
	}
	return s, err
}

// CheckForm checks everything that doesn't need the key: the time, the service,
// and that the host and every x-amz- header are signed.
func (v *Verifier) CheckForm(r *http.Request, s Signature) error {
	if s.presigned && !v.Presigned {
		return newError(ErrMissing, "Presigned requests are not accepted; sign the headers instead.")
	}
	if v.Service != "" && s.Service != v.Service {
		return newError(ErrMismatch, "Credential should be scoped to correct service: '"+v.Service+"'.")
	}
	if !s.isSigned("host") {
		return newError(ErrMismatch, "'Host' must be a 'SignedHeader' in the AWS Authorization.")
	}
	for name := range r.Header {
		name = strings.ToLower(name)
		if strings.HasPrefix(name, "x-amz-") && !s.isSigned(name) {
			return newError(ErrMismatch, "There were headers present in the request which were not signed: "+name)
		}
	}
	return v.checkTime(s)
}

func (v *Verifier) checkTime(s Signature) error {
	stamp, err := time.Parse(timestampLayout, s.timestamp)
	if err != nil || len(s.Day) != len("20060102") || !strings.HasPrefix(s.timestamp, s.Day) {
		return newError(ErrMismatch, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP")
	}
	now, skew := time.Now, DefaultSkew
	if v.Now != nil {
		now = v.Now
	}
	if v.Skew > 0 {
		skew = v.Skew
	}
	age, limit := now().Sub(stamp), skew
	if s.presigned {
		seconds, _ := strconv.Atoi(s.expires) // 0 if it isn't a number
		limit = time.Duration(seconds) * time.Second
		if seconds < 1 || seconds > int(maxExpires/time.Second) {
			return newError(ErrIncomplete, "X-Amz-Expires must be from 1 to 604800 seconds.")
		}
	}
	if age > limit {
		return newError(ErrSkewed, "Signature expired: "+s.timestamp+" is now too old.")
	}
	if age < -skew {
		return newError(ErrSkewed, "Signature not yet current: "+s.timestamp+" is still later than now.")
	}
	return nil
}

// Check checks the session token and the signature itself.
func (v *Verifier) Check(r *http.Request, body []byte, s Signature, key Key) error {
	if subtle.ConstantTimeCompare([]byte(s.Token), []byte(key.Token)) != 1 {
		return UnknownKey()
	}
	payload, err := payloadHash(r, body, s)
	if err != nil {
		return err
	}
	request := sha256.Sum256(s.canonical(r, payload))
	text := make([]byte, 0, 256)
	text = append(text, algorithm+"\n"+s.timestamp+"\n"+s.scope()+"\n"...)
	text = hex.AppendEncode(text, request[:])
	if !hmac.Equal(sign(v.keys.derive(s, key.Secret), text), s.signature[:]) {
		return newError(ErrMismatch, "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.")
	}
	return nil
}

// payloadHash is the body's hash in the canonical request.
// X-Amz-Content-Sha256, if present, must match; only S3 has unsigned bodies.
func payloadHash(r *http.Request, body []byte, s Signature) (string, error) {
	sent := r.Header.Get("X-Amz-Content-Sha256")
	if s.Service == "s3" && (sent == unsigned || s.presigned) {
		return unsigned, nil
	}
	sum := sha256.Sum256(body)
	payload := hex.EncodeToString(sum[:])
	if sent != "" && sent != payload {
		return "", newError(ErrPayload, "The provided 'x-amz-content-sha256' header does not match what was computed.")
	}
	return payload, nil
}
