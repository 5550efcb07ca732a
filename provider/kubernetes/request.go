package kubernetes

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// manager is Rota's name as an owner of fields.
const manager = "rota"

// The content types of patches.
const (
	applyPatch = "application/apply-patch+yaml" // JSON is YAML
	mergePatch = "application/merge-patch+json"
)

// request is one call of the API server.
type request struct {
	op     string // what it's for, for people
	need   need   // what the login must be allowed
	method string // GET by default
	path   string
	query  url.Values
	body   any    // sent as JSON; nil for none
	form   string // the body's content type; JSON by default
	used   rota.Credential
	kind   string // what the answer must be, such as PodList
}

// do makes one request, and never a second, unless the login was refused: then it's read
// again and tried once more, because it may have been replaced meanwhile. The answer's
// JSON goes into out, or all of it if that's a *[]byte.
func (c *Connection) do(ctx context.Context, q request, out any) error {
	err := c.try(ctx, q, out)
	if errors.Is(err, errLogin) {
		err = c.try(ctx, q, out)
	}
	return err
}

func (c *Connection) try(ctx context.Context, q request, out any) error {
	e := &rota.Error{System: c.System(), Connection: c.name, Op: q.op}
	l, err := c.open()
	if err != nil {
		e.Class, e.Err, e.Remedies = rota.ClassStop, err, rota.RemediesOf(err)
		return e
	}
	if err := c.budget.Take(ctx, "kubernetes "+strings.ToLower(l.url.Host), calls); err != nil {
		e.Class, e.Err = rota.ClassWait, err
		return e
	}
	waiting, cancel := context.WithTimeout(ctx, cmp.Or(c.cfg.Timeout, defaultRequestTimeout))
	defer cancel()
	r, err := l.request(waiting, q)
	if err != nil {
		e.Class, e.Err = rota.ClassStop, errors.New("the request can't be written")
		return e
	}
	resp, err := l.send(r)
	if err != nil {
		if ctx.Err() == nil {
			c.forget() // its address or authority may be another by now
		}
		return l.unanswered(e, err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	switch {
	case resp.StatusCode >= http.StatusMultipleChoices:
		return c.refused(e, l, q, resp, text)
	case err != nil:
		return l.unanswered(e, err)
	}
	if raw, ok := out.(*[]byte); ok {
		*raw = text
		return nil
	}
	// Any other JSON would read as an object or a list that's empty.
	var is struct {
		Kind string `json:"kind"`
	}
	if json.Unmarshal(text, &is) != nil || is.Kind != q.kind || json.Unmarshal(text, out) != nil {
		return c.unreadable(e)
	}
	return nil
}

// grace is how long a request that's out of time may take to say so itself.
const grace = time.Second

// errPluginHangs is that of a login's plugin that hasn't ended in time.
var errPluginHangs = fmt.Errorf("getting credentials: it didn't end in time: %w", context.DeadlineExceeded)

// send sends a request. client-go runs a login's plugin first, and nothing ends that: if
// it hangs, the request is given up. It isn't sent later, because its time is over.
func (l *login) send(r *http.Request) (*http.Response, error) {
	if !l.plugin {
		return l.http.Do(r)
	}
	type answer struct {
		resp *http.Response
		err  error
	}
	answered := make(chan answer, 1)
	go func() {
		resp, err := l.http.Do(r) //nolint:bodyclose // whoever receives it does
		answered <- answer{resp, err}
	}()
	select {
	case a := <-answered:
		return a.resp, a.err
	case <-r.Context().Done():
	}
	select {
	case a := <-answered:
		return a.resp, a.err
	case <-time.After(grace):
		if errors.Is(r.Context().Err(), context.Canceled) {
			return nil, r.Context().Err()
		}
		return nil, errPluginHangs
	}
}

func (l *login) request(ctx context.Context, q request) (*http.Request, error) {
	var body io.Reader
	if q.body != nil {
		text, err := json.Marshal(q.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	method := http.MethodGet
	if q.method != "" {
		method = q.method
	}
	to := *l.url
	to.Path = strings.TrimSuffix(to.Path, "/") + q.path // names were checked: none needs escaping
	to.RawQuery = q.query.Encode()
	r, err := http.NewRequestWithContext(ctx, method, to.String(), body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "rota")
	if q.form != "" {
		r.Header.Set("Content-Type", q.form)
	}
	return r, nil
}

// sent is what's secret in a request: the login, and the values of a Secret, which are
// in base64.
func sent(r *http.Request, body []byte) rota.Credential {
	fields := map[string]string{"login": strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")}
	if name, password, ok := r.BasicAuth(); ok {
		fields["login"], fields["user"] = password, name
	}
	var secret struct {
		Data map[string]string `json:"data"`
		Spec struct {
			Token string `json:"token"` // of a TokenReview
		} `json:"spec"`
	}
	if json.Unmarshal(body, &secret) == nil {
		if secret.Spec.Token != "" {
			fields["sent token"] = secret.Spec.Token
		}
		for key, value := range secret.Data {
			fields["sent "+key] = value
			if text, err := base64.StdEncoding.DecodeString(value); err == nil {
				fields["sent decoded "+key] = string(text)
			}
		}
	}
	return rota.NewCredential(fields)
}

var _ provider.Identifier = (*Connection)(nil)
