package api

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"github.com/rota-dev/rota"
)

// pageSize is how many secrets are asked for at once.
const pageSize = 1000

// query collects parameters; those without a value are left out.
type query url.Values

func (q query) text(name, value string) query {
	if value != "" {
		url.Values(q).Set(name, value)
	}
	return q
}

func (q query) number(name string, n int64) query {
	if n == 0 {
		return q
	}
	return q.text(name, strconv.FormatInt(n, 10))
}

func (q query) flag(name string, on bool) query {
	if !on {
		return q
	}
	return q.text(name, "true")
}

func named(names []string) query { return query{"name": names} }

// Secrets describes what rotating each named secret would mean; all of them
// if none is named.
func (c *Client) Secrets(ctx context.Context, names []string) (SecretsDoc, error) {
	return get[SecretsDoc](ctx, c, path("descriptions"), url.Values(named(names)))
}

// Status says how secrets stand, as the last look at them found. Without a
// limit it fetches page after page.
func (c *Client) Status(ctx context.Context, r StatusRequest) (StatusDoc, error) {
	all := StatusDoc{Secrets: []StatusSecretDoc{}}
	for {
		size := pageSize
		if r.Limit > 0 {
			size = r.Limit
		}
		q := named(r.Names).text("after", r.After).number("limit", int64(size))
		page, err := get[StatusDoc](ctx, c, path("secrets"), url.Values(q))
		if err != nil {
			return StatusDoc{}, err
		}
		page.Secrets = append(all.Secrets, page.Secrets...)
		if r.Limit > 0 || page.Next == "" || page.Next == r.After {
			return page, nil
		}
		all, r.After = page, page.Next
	}
}

// Plan has the server look at the systems and say what would happen, when and
// why.
func (c *Client) Plan(ctx context.Context, r PlanRequest) (PlanDoc, error) {
	q := named(r.Names)
	if !r.Until.IsZero() {
		q = q.text("until", r.Until.Format(time.RFC3339Nano))
	}
	return get[PlanDoc](ctx, c, path("plan"), url.Values(q))
}

// Check has the server ask the real systems whether a rotation would work.
func (c *Client) Check(ctx context.Context, names []string) (CheckDoc, error) {
	return post[CheckDoc](ctx, c, path("check"), url.Values(named(names)), nil)
}

// Work does one thing to the named secrets now, several at a time. A failure of
// one stops no other: it is in its document.
func (c *Client) Work(ctx context.Context, r WorkRequest) (WorkDoc, error) {
	return post[WorkDoc](ctx, c, path("work"), nil, r)
}

// Run does everything that is due, once.
func (c *Client) Run(ctx context.Context, r RunRequest) (WorkDoc, error) {
	q := named(r.Secrets).flag("all", r.All)
	return post[WorkDoc](ctx, c, path("run"), url.Values(q), nil)
}

// Adopt takes over an existing credential without rotating it.
func (c *Client) Adopt(ctx context.Context, r AdoptRequest) (WorkDoc, error) {
	body := struct {
		Fields    map[string]string `json:"fields,omitempty"`
		NotBefore time.Time         `json:"not_before,omitzero"`
		NoWait    bool              `json:"no_wait,omitempty"`
	}{r.Fields, r.NotBefore, r.NoWait}
	return post[WorkDoc](ctx, c, path("secrets", r.Secret, "adopt"), nil, body)
}

// Control pauses and resumes secrets, freezes and thaws all of them, records
// that a person has rotated one, or reloads the configuration. Secrets are sent
// one by one: after an error, those in the document are done.
func (c *Client) Control(ctx context.Context, r ControlRequest) (ControlDoc, error) {
	body := map[string]string{}
	if r.Reason != "" {
		body["reason"] = r.Reason
	}
	switch r.Action {
	case ControlFreeze, ControlThaw, ControlReload:
		return post[ControlDoc](ctx, c, path(string(r.Action)), nil, body)
	}
	// No name is done before all are known to be there.
	if _, err := c.Status(ctx, StatusRequest{Names: r.Secrets, Limit: 1}); err != nil {
		return ControlDoc{}, err
	}
	all := ControlDoc{Action: r.Action, Secrets: []string{}}
	for _, name := range r.Secrets {
		doc, err := post[ControlDoc](ctx, c, path("secrets", name, string(r.Action)), nil, body)
		if err != nil {
			return all, err
		}
		all.Secrets = append(all.Secrets, doc.Secrets...)
	}
	return all, nil
}

// Alert notifies about what is late.
func (c *Client) Alert(ctx context.Context) (AlertDoc, error) {
	return post[AlertDoc](ctx, c, path("alert"), nil, nil)
}

// Versions lists a secret's versions, without their values.
func (c *Client) Versions(ctx context.Context, name string) (VersionsDoc, error) {
	return get[VersionsDoc](ctx, c, path("secrets", name, "versions"), nil)
}

// Current says which version of a secret is current.
func (c *Client) Current(ctx context.Context, name string) (CurrentDoc, error) {
	return get[CurrentDoc](ctx, c, path("secrets", name, "changes"), nil)
}

// Get reads a value. The audit records who asked before the answer is sent.
func (c *Client) Get(ctx context.Context, r GetRequest) (GetDoc, error) {
	q := query{}.text("field", r.Field).text("version", r.Version).text("instance", r.Instance)
	if r.Label != rota.LabelCurrent {
		q = q.text("label", string(r.Label))
	}
	return get[GetDoc](ctx, c, path("secrets", r.Secret, "value"), url.Values(q))
}

// History reads entries of the audit: the newest that match, in order.
func (c *Client) History(ctx context.Context, r HistoryRequest) (HistoryDoc, error) {
	q := query{}.text("secret", r.Secret).number("after", r.After).number("before", r.Before).number("limit", int64(r.Limit))
	if r.Oldest {
		q = q.text("oldest", "true")
	}
	return get[HistoryDoc](ctx, c, path("audit"), url.Values(q))
}

// Verify has the server recompute the audit's chain.
func (c *Client) Verify(ctx context.Context) (VerifyDoc, error) {
	return get[VerifyDoc](ctx, c, path("audit", "verification"), nil)
}
