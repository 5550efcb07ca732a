package gitlab

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

// discreet takes out of a refusal what the request held that's secret, before anyone
// reads it or cuts it short. GitLab itself doesn't repeat any of it, but a proxy in
// front may, or a page for developers.
type discreet struct{ http.RoundTripper }

func (d discreet) RoundTrip(r *http.Request) (*http.Response, error) {
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
	if err != nil || resp.StatusCode < http.StatusBadRequest {
		return resp, err
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	if len(text) > 0 {
		text = []byte(rota.Sanitize(errors.New(string(text)), sent(r.Header.Get("Private-Token"), body)).Error())
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	return resp, nil
}

// sent is what's secret in a request: the token that it logs in with, the one that
// makes a pipeline, and the values of variables.
func sent(token string, body []byte) rota.Credential {
	fields := map[string]string{FieldToken: token}
	var found func(v any, secret bool)
	found = func(v any, secret bool) {
		switch v := v.(type) {
		case string:
			if secret {
				fields["sent "+strconv.Itoa(len(fields))] = v
			}
		case []any:
			for _, one := range v {
				found(one, secret)
			}
		case map[string]any:
			for key, one := range v {
				found(one, secret || key == "value" || key == "token" || key == "variables")
			}
		}
	}
	var v any
	if json.Unmarshal(body, &v) == nil {
		found(v, false)
	}
	return rota.NewCredential(fields)
}
