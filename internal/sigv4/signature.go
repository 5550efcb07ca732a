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
// there is an error, it still returns what it could parse, for the log. A
// request that repeats any part of its signature is refused.
func Parse(r *http.Request) (Signature, error) {
	switch headers := r.Header.Values("Authorization"); {
	case len(headers) > 1:
		return Signature{}, incompleteError()
	case len(headers) == 1 && headers[0] != "":
		return parseHeader(r, headers[0])
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
	// As at AWS, each component is there once, and nothing else is: whatever
	// else reads the header can't take one where this takes another.
	components := map[string]string{"Credential": "", "SignedHeaders": "", "Signature": ""}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		if before, known := components[name]; !known || before != "" || value == "" {
			return s, incompleteError()
		}
		components[name] = value
	}
	return s, s.fill(components["Credential"], components["SignedHeaders"], components["Signature"])
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
	for name, values := range query {
		if len(values) > 1 && strings.HasPrefix(name, "X-Amz-") {
			return s, incompleteError()
		}
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
	n, _ := hex.Decode(s.signature[:], []byte(signature[:min(len(signature), 2*len(s.signature))]))
	if s.KeyID == "" || headers == "" || n != len(s.signature) || len(signature) != 2*n {
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
