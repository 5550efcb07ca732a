package sigv4

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// canonical is the canonical request of Signature Version 4.
func (s Signature) canonical(r *http.Request, payload string) []byte {
	out := make([]byte, 0, 1024)
	out = append(out, r.Method...)
	out = append(out, '\n')
	out = append(out, canonicalPath(r.URL, s.Service)...)
	out = append(out, '\n')
	out = append(out, canonicalQuery(r.URL.RawQuery, s.presigned)...)
	out = append(out, '\n')
	for _, name := range s.headers {
		out = append(out, name...)
		out = append(out, ':')
		out = appendHeader(out, r, name)
		out = append(out, '\n')
	}
	out = append(out, '\n')
	for i, name := range s.headers {
		if i > 0 {
			out = append(out, ';')
		}
		out = append(out, name...)
	}
	out = append(out, '\n')
	return append(out, payload...)
}

// canonicalPath is the path, which all services except S3 encode a second time.
func canonicalPath(u *url.URL, service string) string {
	path := u.EscapedPath()
	switch {
	case path == "":
		return "/"
	case service == "s3":
		return path
	}
	return strings.ReplaceAll(escape(path), "%2F", "/")
}

func appendHeader(out []byte, r *http.Request, name string) []byte {
	values := r.Header.Values(name)
	switch {
	case name == "host":
		return append(out, r.Host...)
	case name == "content-length" && len(values) == 0:
		return strconv.AppendInt(out, r.ContentLength, 10)
	}
	for i, value := range values {
		if i > 0 {
			out = append(out, ',')
		}
		first := true
		for word := range strings.FieldsSeq(value) {
			if !first {
				out = append(out, ' ')
			}
			out = append(out, word...)
			first = false
		}
	}
	return out
}

// canonicalQuery sorts the parameters; a presigned request's excludes the
// signature.
func canonicalQuery(raw string, presigned bool) string {
	if raw == "" {
		return ""
	}
	var pairs []string
	for part := range strings.SplitSeq(raw, "&") {
		name, value, _ := strings.Cut(part, "=")
		if presigned && name == "X-Amz-Signature" {
			continue
		}
		pairs = append(pairs, normalizeEscapes(name)+"="+normalizeEscapes(value))
	}
	slices.SortFunc(pairs, func(a, b string) int {
		nameA, valueA, _ := strings.Cut(a, "=")
		nameB, valueB, _ := strings.Cut(b, "=")
		if c := strings.Compare(nameA, nameB); c != 0 {
			return c
		}
		return strings.Compare(valueA, valueB)
	})
	return strings.Join(pairs, "&")
}

// normalizeEscapes converts part of a query to AWS's canonical escaping.
// Invalid escapes are left alone; their signature won't match.
func normalizeEscapes(s string) string {
	plain, err := url.QueryUnescape(s)
	if err != nil {
		return s
	}
	return escape(plain)
}

func escape(s string) string {
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
