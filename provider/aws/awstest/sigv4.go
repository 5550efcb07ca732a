package awstest

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	algorithm   = "AWS4-HMAC-SHA256"
	stampLayout = "20060102T150405Z"
	unsigned    = "UNSIGNED-PAYLOAD"
	maxSkew     = 15 * time.Minute
)

// authorization is a parsed Authorization header of Signature Version 4, with
// the two headers that belong to it.
type authorization struct {
	keyID, day, region, service string
	headers                     []string // lower case, sorted
	signature                   []byte
	stamp                       string // X-Amz-Date as sent
	token                       string // X-Amz-Security-Token
}

// parseAuthorization reads the header. What it can tell (the key id, the
// service) is returned with an error too, for the record of the call.
func parseAuthorization(r *http.Request) (authorization, *apiError) {
	auth := authorization{stamp: r.Header.Get("X-Amz-Date"), token: r.Header.Get("X-Amz-Security-Token")}
	header := r.Header.Get("Authorization")
	if header == "" {
		return auth, fail(403, codeMissing, "Request is missing Authentication Token")
	}
	incomplete := fail(400, "IncompleteSignature", "The Authorization header does not have the form of "+algorithm+".")
	rest, ok := strings.CutPrefix(header, algorithm+" ")
	if !ok {
		return auth, incomplete
	}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "Credential":
			scope := strings.Split(value, "/")
			if len(scope) != 5 || scope[4] != "aws4_request" {
				return auth, incomplete
			}
			auth.keyID, auth.day, auth.region, auth.service = scope[0], scope[1], scope[2], scope[3]
		case "SignedHeaders":
			auth.headers = strings.Split(value, ";")
		case "Signature":
			signature, err := hex.DecodeString(value)
			if err != nil {
				return auth, incomplete
			}
			auth.signature = signature
		}
	}
	if auth.keyID == "" || len(auth.headers) == 0 || len(auth.signature) != sha256.Size {
		return auth, incomplete
	}
	return auth, auth.checkHeaders(r)
}

// checkHeaders holds the rules on what must be signed: the host, every
// x-amz- header there is, and the date, which must be near the true one.
func (a authorization) checkHeaders(r *http.Request) *apiError {
	if !slices.Contains(a.headers, "host") {
		return fail(403, codeSignature, "'Host' must be a 'SignedHeader' in the AWS Authorization.")
	}
	for name := range r.Header {
		name = strings.ToLower(name)
		if strings.HasPrefix(name, "x-amz-") && !slices.Contains(a.headers, name) {
			return fail(403, codeSignature, "There were headers present in the request which were not signed: "+name)
		}
	}
	stamp, err := time.Parse(stampLayout, a.stamp)
	if err != nil || !strings.HasPrefix(a.stamp, a.day) {
		return fail(403, codeSignature, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP")
	}
	if time.Since(stamp).Abs() > maxSkew {
		if a.service == "s3" {
			return fail(403, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.")
		}
		return fail(403, codeSignature, "Signature expired or not yet current: "+a.stamp)
	}
	return nil
}

// verify checks the signature of a request against a secret access key.
func (a authorization) verify(r *http.Request, body []byte, secret string) *apiError {
	sum := sha256.Sum256(body)
	payload := hex.EncodeToString(sum[:])
	if sent := r.Header.Get("X-Amz-Content-Sha256"); sent != "" && a.service == "s3" {
		switch {
		case strings.HasPrefix(sent, "STREAMING-"):
			return fail(501, "NotImplemented", "Chunked uploads are not implemented.")
		case sent != unsigned && sent != payload:
			return fail(400, "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.")
		}
		payload = sent
	}
	request := sha256.Sum256(a.canonical(r, payload))
	scope := a.day + "/" + a.region + "/" + a.service + "/aws4_request"
	text := algorithm + "\n" + a.stamp + "\n" + scope + "\n" + hex.EncodeToString(request[:])
	key := sign([]byte("AWS4"+secret), a.day)
	for _, part := range []string{a.region, a.service, "aws4_request"} {
		key = sign(key, part)
	}
	if !hmac.Equal(sign(key, text), a.signature) {
		return fail(403, codeSignature, "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.")
	}
	return nil
}

func sign(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// canonical is the canonical request of Signature Version 4.
func (a authorization) canonical(r *http.Request, payload string) []byte {
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	if a.service != "s3" { // all services but S3 encode the path once more
		path = strings.ReplaceAll(escapeURI(path), "%2F", "/")
	}
	var out bytes.Buffer
	out.WriteString(r.Method + "\n" + path + "\n" + canonicalQuery(r.URL.RawQuery) + "\n")
	for _, name := range a.headers {
		out.WriteString(name + ":" + headerValue(r, name) + "\n")
	}
	out.WriteString("\n" + strings.Join(a.headers, ";") + "\n" + payload)
	return out.Bytes()
}

func headerValue(r *http.Request, name string) string {
	values := r.Header.Values(name)
	switch {
	case name == "host":
		return r.Host
	case name == "content-length" && len(values) == 0:
		return strconv.FormatInt(r.ContentLength, 10)
	}
	trimmed := make([]string, len(values))
	for i, value := range values {
		trimmed[i] = strings.Join(strings.Fields(value), " ")
	}
	return strings.Join(trimmed, ",")
}

func canonicalQuery(raw string) string {
	if raw == "" {
		return ""
	}
	var pairs []string
	for part := range strings.SplitSeq(raw, "&") {
		name, value, _ := strings.Cut(part, "=")
		pairs = append(pairs, recode(name)+"="+recode(value))
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

// recode brings a query string's part to AWS's one way of escaping. What is
// not well escaped is taken as it stands; its signature will not match.
func recode(s string) string {
	plain, err := url.QueryUnescape(s)
	if err != nil {
		return s
	}
	return escapeURI(plain)
}

func escapeURI(s string) string {
	const hexDigits = "0123456789ABCDEF"
	var out strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_', c == '.', c == '~':
			out.WriteByte(c)
		default:
			out.WriteByte('%')
			out.WriteByte(hexDigits[c>>4])
			out.WriteByte(hexDigits[c&15])
		}
	}
	return out.String()
}
