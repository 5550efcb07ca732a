package function

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// The steps of a rotation function that Rota calls.
const (
	createSecret = "createSecret"
	setSecret    = "setSecret"
	testSecret   = "testSecret"
)

// refusals are what the usual database drivers say about a wrong password, and about
// nothing else.
var refusals = []string{"password authentication failed", "Access denied for user"}

// step calls the function for one step, and stands in for Secrets Manager with the
// entry meanwhile. refused are texts in the function's error that mean that a login
// was refused.
func (c *Connection) step(ctx context.Context, op, step string, e *entry, refused []string) error {
	fail := func(class rota.Class, err error, remedies []rota.Remedy) error {
		return rota.Sanitize(&rota.Error{System: c.system(), Connection: c.name, Op: op, Class: class, Err: err, Remedies: remedies}, e.values()...)
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	hide, err := c.manager.show(ctx, e)
	if err != nil {
		return fail(rota.ClassWait, err, rota.Outside(fmt.Sprintf("free %s, or set listen of connection %s to another address, which the function is given", c.cfg.Listen, c.name)))
	}
	defer hide()
	r, err := c.request(ctx, step, e)
	if err != nil {
		return fail(rota.ClassStop, err, rota.RemediesOf(err))
	}
	resp, err := c.client.Do(r)
	var body []byte
	if err == nil {
		defer func() { _ = resp.Body.Close() }()
		body, err = io.ReadAll(resp.Body)
	}
	if err != nil {
		out := &rota.Error{System: c.system(), Connection: c.name, Op: op}
		provider.Unanswered(out, err, "the function", r.URL.Host, "url")
		if errors.Is(err, context.DeadlineExceeded) || provider.TimedOut(err) {
			out.Remedies = rota.Outside(fmt.Sprintf("see in the function's log where it waits. If it can't reach Secrets Manager, its endpoint must lead to %s. A step has %s", c.cfg.Listen, rota.FormatDuration(c.cfg.Timeout)))
		}
		return rota.Sanitize(out, e.values()...)
	}
	if resp.StatusCode != http.StatusOK {
		return c.notInvoked(fail, resp, body)
	}
	if resp.Header.Get("X-Amz-Function-Error") == "" {
		return nil
	}
	said := failure(resp, body)
	for _, text := range slices.Concat(refusals, refused) {
		if step == testSecret && strings.Contains(said, text) {
			return fail(rota.ClassStop, fmt.Errorf("%w: %s", rota.ErrRefused, said), nil)
		}
	}
	hint := "look at the function's log"
	if !e.wasAsked() {
		hint = fmt.Sprintf("give the function the endpoint of %s for Secrets Manager (AWS_ENDPOINT_URL_SECRETS_MANAGER), and the access key %s: it asked for nothing; its log says why", c.cfg.Listen, c.cfg.AccessKeyID)
	}
	if rejected := e.rejection(); rejected != nil {
		hint = fmt.Sprintf("correct what the function signs with: %v", rejected)
	}
	return fail(rota.ClassWait, fmt.Errorf("%s failed: %s", step, said), rota.Outside(hint))
}

// request is Lambda's Invoke call.
func (c *Connection) request(ctx context.Context, step string, e *entry) (*http.Request, error) {
	event, err := json.Marshal(struct {
		SecretID           string `json:"SecretId"`
		ClientRequestToken string
		Step               string
	}{e.arn, e.token, step})
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(event))
	if err != nil {
		return nil, errors.New("the url is wrong")
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Amz-Invocation-Type", "RequestResponse")
	if c.cfg.ARN == "" {
		return r, nil
	}
	keys, err := c.credentials(ctx)
	if err != nil {
		return nil, rota.WithRemedies(fmt.Errorf("find the machine's AWS identity: %w", err), rota.Outside("give what runs Rota an AWS role that may call lambda:InvokeFunction"))
	}
	sum := sha256.Sum256(event)
	return r, c.signer.SignHTTP(ctx, keys, r, hex.EncodeToString(sum[:]), "lambda", c.region, time.Now())
}

// notInvoked is the error of a call that never reached the function.
func (c *Connection) notInvoked(fail func(rota.Class, error, []rota.Remedy) error, resp *http.Response, body []byte) error {
	var said struct {
		Message string `json:"message"`
		Other   string `json:"Message"`
	}
	_ = json.Unmarshal(body, &said)
	answer := &provider.Answer{Status: resp.StatusCode, Message: provider.Said(said.Message + said.Other)}
	var remedies []rota.Remedy
	switch resp.StatusCode {
	case http.StatusForbidden, http.StatusUnauthorized:
		remedies = rota.Outside("permit Rota's AWS identity lambda:InvokeFunction on " + c.named())
	case http.StatusNotFound:
		remedies = rota.Configure("connections."+c.name, "the url or arn of connection "+c.name+" must be that of a function that exists")
	case http.StatusTooManyRequests:
		remedies = rota.Outside("raise the concurrency of " + c.named() + ", if this goes on")
	default:
		remedies = rota.Outside("see what answers at the url of connection " + c.name)
	}
	return fail(rota.ClassOfStatus(resp.StatusCode), answer, remedies)
}

func (c *Connection) named() string {
	if c.cfg.ARN != "" {
		return c.cfg.ARN
	}
	return "the function"
}

// failure is what a function that failed says: its error's type and message.
func failure(resp *http.Response, body []byte) string {
	var said struct{ ErrorType, ErrorMessage string }
	if json.Unmarshal(body, &said) != nil || said.ErrorType+said.ErrorMessage == "" {
		return provider.Said(resp.Header.Get("X-Amz-Function-Error"))
	}
	return provider.Said(strings.Trim(said.ErrorType+": "+said.ErrorMessage, ": "))
}
