package provider

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/rota-dev/rota"
)

// maxRefusal is how much of a refusal is read, in bytes. Less of it is shown.
const maxRefusal = 64 << 10

// Discreet takes out of a refusal or a redirect what the request held that's secret, before anyone
// reads it or cuts it short. A system itself seldom repeats any of it, but a proxy in
// front may, or a page for developers.
type Discreet struct {
	http.RoundTripper
	// Secrets are the values in a request, with this body, that are secret.
	Secrets func(r *http.Request, body []byte) rota.Credential
}

// RoundTrip implements [http.RoundTripper].
func (d Discreet) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		_ = r.Body.Close()
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	resp, err := d.RoundTripper.RoundTrip(r)
	if err != nil || resp.StatusCode < http.StatusMultipleChoices {
		return resp, err
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	if len(text) > 0 {
		text = []byte(rota.Sanitize(errors.New(string(text)), d.Secrets(r, body)).Error())
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	return resp, nil
}

// Sent are a login's secret, and the texts in a JSON body below keys for which secret
// is true, for [Discreet].
func Sent(login string, body []byte, secret func(key string) bool) rota.Credential {
	fields := map[string]string{"login": login}
	var find func(v any, below bool)
	find = func(v any, below bool) {
		switch v := v.(type) {
		case string:
			if below {
				fields["sent "+strconv.Itoa(len(fields))] = v
			}
		case []any:
			for _, one := range v {
				find(one, below)
			}
		case map[string]any:
			for key, one := range v {
				find(one, below || secret(key))
			}
		}
	}
	var v any
	if json.Unmarshal(body, &v) == nil {
		find(v, false)
	}
	return rota.NewCredential(fields)
}
