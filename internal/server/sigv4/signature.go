package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const (
	algorithm       = "AWS4-HMAC-SHA256"
	scopeEnd        = "aws4_request"
	timestampLayout = "20060102T150405Z"

	// maxHeaders bounds the number of signed headers.
	maxHeaders = 100
)

// Signature is what a request says about its own signature. None of it is
// verified before [Verifier.Check].
type Signature struct {
	KeyID                string
	Day, Region, Service string // the scope; Day as YYYYMMDD
	Token                string // session token, "" for none

	headers   []string // lowercase, as signed
	signature [sha256.Size]byte
	timestamp string // X-Amz-Date
	expires   string // X-Amz-Expires, of a presigned request
	presigned bool
}

// Parse reads the Authorization header, or a presigned request's query. If
// there is an error, it still returns what it could parse, for the log.
func Parse(r *http.Request) (Signature, error) {
	if header := r.Header.Get("Authorization"); header != "" {
		return parseHeader(r, header)
	}
	if strings.Contains(r.URL.RawQuery, "X-Amz-Signature=") {
		return parseQuery(r)
	}
	return Signature{}, newError(ErrMissing, "Request is missing Authentication Token")
}

func parseHeader(r *http.Request, header string) (Signature, error) {
	s := Signature{timestamp: r.Header.Get("X-Amz-Date"), Token: r.Header.Get("X-Amz-Security-Token")}
	rest, ok := strings.CutPrefix(header, algorithm+" ")
	if !ok {
		return s, incompleteError()
	}
	var scope, headers, signature string
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "Credential":
			scope = value
		case "SignedHeaders":
			headers = value
		case "Signature":
			signature = value
		}
	}
	return s, s.fill(scope, headers, signature)
}

func parseQuery(r *http.Request) (Signature, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	s := Signature{
		timestamp: query.Get("X-Amz-Date"), Token: query.Get("X-Amz-Security-Token"),
		expires: query.Get("X-Amz-Expires"), presigned: true,
	}
	if err != nil || query.Get("X-Amz-Algorithm") != algorithm {
		return s, incompleteError()
	}
	return s, s.fill(query.Get("X-Amz-Credential"), query.Get("X-Amz-SignedHeaders"), query.Get("X-Amz-Signature"))
}

// fill parses the three parts that both forms have.
func (s *Signature) fill(credential, headers, signature string) error {
	scope := strings.Split(credential, "/")
	if len(scope) != 5 || scope[4] != scopeEnd {
		return incompleteError()
	}
	s.KeyID, s.Day, s.Region, s.Service = scope[0], scope[1], scope[2], scope[3]
	if strings.Count(headers, ";") >= maxHeaders {
		return incompleteError()
	}
	s.headers = strings.Split(headers, ";")
	n, err := hex.Decode(s.signature[:], []byte(signature[:min(len(signature), 2*len(s.signature))]))
	if s.KeyID == "" || headers == "" || err != nil || n != len(s.signature) || len(signature) != 2*n {
		return incompleteError()
	}
	return nil
}

func incompleteError() error {
	return newError(ErrIncomplete, "The Authorization header is not valid for "+algorithm+".")
}

func (s Signature) scope() string {
	return s.Day + "/" + s.Region + "/" + s.Service + "/" + scopeEnd
}

func (s Signature) isSigned(header string) bool { return slices.Contains(s.headers, header) }
