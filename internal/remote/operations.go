package remote

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/service"
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

// Secrets implements [service.Operations].
func (c *Client) Secrets(ctx context.Context, names []string) (service.SecretsDoc, error) {
	return get[service.SecretsDoc](ctx, c, path("descriptions"), url.Values(named(names)))
}

// Status implements [service.Operations]. Without a limit it asks for one page
// after the other.
func (c *Client) Status(ctx context.Context, r service.StatusRequest) (service.StatusDoc, error) {
	all := service.StatusDoc{Secrets: []service.StatusSecretDoc{}}
	for {
		size := pageSize
		if r.Limit > 0 {
			size = r.Limit
		}
		q := named(r.Names).text("after", r.After).number("limit", int64(size))
		page, err := get[service.StatusDoc](ctx, c, path("secrets"), url.Values(q))
		if err != nil {
			return service.StatusDoc{}, err
		}
		page.Secrets = append(all.Secrets, page.Secrets...)
		if r.Limit > 0 || page.Next == "" || page.Next == r.After {
			return page, nil
		}
		all, r.After = page, page.Next
	}
}

// Plan implements [service.Operations].
func (c *Client) Plan(ctx context.Context, r service.PlanRequest) (service.PlanDoc, error) {
	q := named(r.Names)
	if !r.Until.IsZero() {
		q = q.text("until", r.Until.Format(time.RFC3339Nano))
	}
	return get[service.PlanDoc](ctx, c, path("plan"), url.Values(q))
}

// Check implements [service.Operations].
func (c *Client) Check(ctx context.Context, names []string) (service.CheckDoc, error) {
	return post[service.CheckDoc](ctx, c, path("check"), url.Values(named(names)), nil)
}

// Work implements [service.Operations].
func (c *Client) Work(ctx context.Context, r service.WorkRequest) (service.WorkDoc, error) {
	return post[service.WorkDoc](ctx, c, path("work"), nil, r)
}

// Run implements [service.Operations].
func (c *Client) Run(ctx context.Context, r service.RunRequest) (service.WorkDoc, error) {
	q := query{}.flag("all", r.All)
	return post[service.WorkDoc](ctx, c, path("run"), url.Values(q), nil)
}

// Adopt implements [service.Operations].
func (c *Client) Adopt(ctx context.Context, r service.AdoptRequest) (service.WorkDoc, error) {
	body := struct {
		Fields    map[string]string `json:"fields,omitempty"`
		NotBefore time.Time         `json:"not_before,omitzero"`
		NoWait    bool              `json:"no_wait,omitempty"`
	}{r.Fields, r.NotBefore, r.NoWait}
	return post[service.WorkDoc](ctx, c, path("secrets", r.Secret, "adopt"), nil, body)
}

// Control implements [service.Operations]. Secrets are asked for one by one:
// an error leaves those before it done.
func (c *Client) Control(ctx context.Context, r service.ControlRequest) (service.ControlDoc, error) {
	body := map[string]string{}
	if r.Reason != "" {
		body["reason"] = r.Reason
	}
	switch r.Action {
	case service.Freeze, service.Thaw, service.Reload:
		return post[service.ControlDoc](ctx, c, path(string(r.Action)), nil, body)
	}
	// No name is done before all are known to be there.
	if _, err := c.Status(ctx, service.StatusRequest{Names: r.Secrets, Limit: 1}); err != nil {
		return service.ControlDoc{}, err
	}
	all := service.ControlDoc{Action: r.Action, Secrets: []string{}}
	for _, name := range r.Secrets {
		doc, err := post[service.ControlDoc](ctx, c, path("secrets", name, string(r.Action)), nil, body)
		if err != nil {
			return all, err
		}
		all.Secrets = append(all.Secrets, doc.Secrets...)
	}
	return all, nil
}

// Alert implements [service.Operations].
func (c *Client) Alert(ctx context.Context) (service.AlertDoc, error) {
	return post[service.AlertDoc](ctx, c, path("alert"), nil, nil)
}

// Versions implements [service.Operations].
func (c *Client) Versions(ctx context.Context, name string) (service.VersionsDoc, error) {
	return get[service.VersionsDoc](ctx, c, path("secrets", name, "versions"), nil)
}

// Current implements [service.Operations].
func (c *Client) Current(ctx context.Context, name string) (service.CurrentDoc, error) {
	return get[service.CurrentDoc](ctx, c, path("secrets", name, "changes"), nil)
}

// Get implements [service.Operations].
func (c *Client) Get(ctx context.Context, r service.GetRequest) (service.GetDoc, error) {
	q := query{}.text("field", r.Field).text("version", r.Version)
	if r.Label != rota.LabelCurrent {
		q = q.text("label", string(r.Label))
	}
	return get[service.GetDoc](ctx, c, path("secrets", r.Secret, "value"), url.Values(q))
}

// History implements [service.Operations].
func (c *Client) History(ctx context.Context, r service.HistoryRequest) (service.HistoryDoc, error) {
	q := query{}.text("secret", r.Secret).number("after", r.After).number("before", r.Before).number("limit", int64(r.Limit))
	if r.Oldest {
		q = q.text("oldest", "true")
	}
	return get[service.HistoryDoc](ctx, c, path("audit"), url.Values(q))
}

// Verify implements [service.Operations].
func (c *Client) Verify(ctx context.Context) (service.VerifyDoc, error) {
	return get[service.VerifyDoc](ctx, c, path("audit", "verification"), nil)
}
