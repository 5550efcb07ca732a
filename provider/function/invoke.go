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

// step calls the function for one step, and stands in for Secrets Manager with the
// entry meanwhile. refused are texts in the error of testSecret that mean that a login of
// user was refused.
func (c *Connection) step(ctx context.Context, op, step string, e *entry, user string, refused []string) error {
	fail := func(class rota.Class, err error, remedies []rota.Remedy) error {
		return rota.Sanitize(&rota.Error{System: c.system(), Connection: c.name, Op: op, Class: class, Err: err, Remedies: remedies}, c.hidden(e)...)
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	for _, turn := range []chan struct{}{c.turn, e.turn} {
		if turn == nil {
			continue
		}
		select {
		case turn <- struct{}{}:
			defer func() { <-turn }()
		case <-ctx.Done():
			return fail(rota.ClassWait, fmt.Errorf("an earlier call of the function isn't over: %w", ctx.Err()), rota.Outside("see in the function's log what it's busy with"))
		}
	}
	hide, err := c.manager.show(ctx, e)
	if err != nil {
		return fail(rota.ClassWait, err, rota.RemediesOf(err))
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
			out.Remedies = rota.Outside(fmt.Sprintf("see in the function's log where it waits. If it can't reach Secrets Manager, its endpoint must lead to %s. A step has %s, and a function that goes on after that can undo what Rota does next: give it a shorter timeout", c.cfg.Listen, rota.FormatDuration(c.cfg.Timeout)))
		}
		return rota.Sanitize(out, c.hidden(e)...)
	}
	said, whole := c.said(resp, body, e)
	switch {
	case resp.StatusCode != http.StatusOK:
		return c.notInvoked(fail, resp.StatusCode, said)
	case whole == "" && step == testSecret && !e.wasAsked():
		return fail(rota.ClassStop, errors.New("testSecret succeeded without asking for the secret, so it tested nothing"), rota.Outside(fmt.Sprintf("see what answers at the url of connection %s, and that testSecret logs in with the value under AWSPENDING", c.name)))
	case whole == "":
		return nil
	case step == testSecret && refusedBy(whole, user, refused):
		return fail(rota.ClassStop, fmt.Errorf("%w: %s", rota.ErrRefused, said), nil)
	}
	hint := "look at the function's log"
	switch rejected := e.rejection(); {
	case e.wasAsked():
	case rejected != nil:
		hint = fmt.Sprintf("correct what the function signs with: %v", rejected)
	default:
		hint = fmt.Sprintf("give the function the endpoint of %s for Secrets Manager (AWS_ENDPOINT_URL_SECRETS_MANAGER), and the access key %s: it asked for nothing; its log says why", c.cfg.Listen, c.cfg.AccessKeyID)
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

// notInvoked is the error of a call that never reached the function, or that ended it.
func (c *Connection) notInvoked(fail func(rota.Class, error, []rota.Remedy) error, status int, said string) error {
	class := rota.ClassOfStatus(status)
	var remedies []rota.Remedy
	switch status {
	case http.StatusForbidden, http.StatusUnauthorized:
		remedies = rota.Outside("permit Rota's AWS identity lambda:InvokeFunction on " + c.named())
	case http.StatusNotFound:
		remedies = rota.Configure("connections."+c.name, "the url or arn of connection "+c.name+" must be that of a function that exists")
	case http.StatusTooManyRequests:
		remedies = rota.Outside("raise the concurrency of " + c.named() + ", if this goes on")
	default:
		remedies = rota.Outside("see what answers at the url of connection " + c.name + ", and the function's log")
		if status == http.StatusBadRequest && said == "" && c.cfg.ARN == "" {
			// That's how Lambda's runtime emulator says that it's still busy.
			class, remedies = rota.ClassWait, rota.Outside("see in the function's log whether it's still busy with an earlier call: Lambda's runtime emulator takes one at a time")
		}
	}
	return fail(class, &provider.Answer{Status: status, Message: said}, remedies)
}

func (c *Connection) named() string {
	if c.cfg.ARN != "" {
		return c.cfg.ARN
	}
	return "the function"
}
