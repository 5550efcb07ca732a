package github

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	api "github.com/google/go-github/v93/github"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Variables is a target: configuration variables of one place, which everyone who
// can read the place can read.
type Variables struct {
	Target     string // the target's name in rota.yaml
	Connection *Connection
	Place      Place
	// Fields are the variables and what each gets.
	Fields rota.FieldMap
	// Visibility is which repositories read variables of an organization: "all",
	// "private" or "selected". "" leaves existing variables as they are and makes new
	// ones private.
	Visibility string
	// WaitFor are the repositories whose workflow runs hold an old value until they
	// end, as "owner/name". Defaults to the place's own.
	WaitFor []string
	// NoWait says that nothing waits for workflow runs.
	NoWait bool

	mu sync.Mutex // held while writing
}

var (
	_ rota.Target         = (*Variables)(nil)
	_ rota.Preflighter    = (*Variables)(nil)
	_ rota.Accepter       = (*Variables)(nil)
	_ rota.HolderReporter = (*Variables)(nil)
)

// Name implements [rota.Target].
func (t *Variables) Name() string { return t.Target }

func (t *Variables) access() access { return t.Place.access("actions_variables", write) }

func (t *Variables) path() string { return t.Place.path(Actions, "variables") }

// variable is one to be written, with what's there.
type variable struct {
	value
	was    api.ActionsVariable
	exists bool
}

// variableBody is what a request writes.
type variableBody struct {
	Name       string  `json:"name,omitempty"`
	Value      *string `json:"value,omitempty"`
	Visibility string  `json:"visibility,omitempty"`
}

// Deliver implements [rota.Target]. GitHub writes one variable at a time. If one of
// several can't be written, those before it are taken back.
func (t *Variables) Deliver(ctx context.Context, r rota.DeliverRequest) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return rota.Sanitize(t.deliver(ctx, r.Credential), r.Credential)
}

func (t *Variables) deliver(ctx context.Context, c rota.Credential) error {
	values, err := t.values(c)
	if err != nil {
		return err
	}
	var needed []variable
	for _, v := range values {
		was, exists, err := t.get(ctx, v.name)
		if err != nil {
			return err
		}
		if !exists || was.Value != v.text || t.Visibility != "" && was.GetVisibility() != t.Visibility {
			needed = append(needed, variable{v, was, exists})
		}
	}
	for i, v := range needed {
		if err = ctx.Err(); err == nil {
			err = t.write(ctx, v)
		}
		if err != nil {
			return t.takeBack(ctx, needed[:i+1], err)
		}
	}
	return ctx.Err()
}

// get reads a variable; exists is false if there's none.
func (t *Variables) get(ctx context.Context, name string) (v api.ActionsVariable, exists bool, err error) {
	_, err = t.Connection.call(ctx, t.access(), "read variable "+name+" of "+t.Place.String(), http.MethodGet, t.path()+"/"+name, nil, &v)
	if provider.StatusOf(err) == http.StatusNotFound {
		return api.ActionsVariable{}, false, nil // of a place that isn't there, the write says so
	}
	return v, err == nil, err
}

// write creates or updates a variable.
func (t *Variables) write(ctx context.Context, v variable) error {
	if v.exists {
		return t.update(ctx, v.name, variableBody{Value: &v.text, Visibility: t.Visibility})
	}
	body := variableBody{Name: v.name, Value: &v.text}
	if t.Place.Repository == "" {
		if body.Visibility = t.Visibility; body.Visibility == "" {
			body.Visibility = "private"
		}
	}
	_, err := t.Connection.call(ctx, t.access(), "create variable "+v.name+" of "+t.Place.String(), http.MethodPost, t.path(), body, nil)
	if status := provider.StatusOf(err); status == http.StatusConflict || status == http.StatusUnprocessableEntity {
		// It may have come into being since: another process of Rota's, or the same
		// request sent twice.
		if _, exists, lookErr := t.get(ctx, v.name); lookErr == nil && exists {
			return t.update(ctx, v.name, variableBody{Value: &v.text, Visibility: t.Visibility})
		}
	}
	return err
}

func (t *Variables) update(ctx context.Context, name string, body variableBody) error {
	_, err := t.Connection.call(ctx, t.access(), "write variable "+name+" of "+t.Place.String(), http.MethodPatch, t.path()+"/"+name, body, nil)
	return err
}

// takeBack writes the old values again, the last first: whether the write that
// failed took effect isn't known.
func (t *Variables) takeBack(ctx context.Context, done []variable, failed error) error {
	if len(done) == 1 && len(t.Fields.Names()) == 1 {
		return failed // a single variable is never torn
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishWithin)
	defer cancel()
	var mixed []string
	for _, v := range slices.Backward(done) {
		var err error
		if v.exists {
			err = t.update(ctx, v.name, variableBody{Value: &v.was.Value, Visibility: v.was.GetVisibility()})
		} else {
			_, err = t.Connection.call(ctx, t.access(), "remove variable "+v.name+" of "+t.Place.String(), http.MethodDelete, t.path()+"/"+v.name, nil, nil)
		}
		if err != nil && (v.exists || provider.StatusOf(err) != http.StatusNotFound) {
			mixed = append(mixed, v.name)
		}
	}
	if len(mixed) > 0 && len(done) > 1 {
		slices.Sort(mixed)
		return fmt.Errorf("%w; and until it's delivered, jobs get new values in %s beside old ones", failed, strings.Join(mixed, ", "))
	}
	return failed
}

// values are the variables with the values they are to have.
func (t *Variables) values(c rota.Credential) ([]value, error) {
	op := "write variables of " + t.Place.String()
	texts, err := t.Fields.Render(c)
	if err != nil {
		return nil, t.Connection.refuse(op, "correct the target's variables", err)
	}
	var values []value
	for _, name := range t.Fields.Names() {
		v := value{name, texts[name]}
		if err := t.Connection.unacceptable("write variable "+name+" of "+t.Place.String(), v); err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, nil
}

// Accept implements [rota.Accepter]: it reports whether GitHub would take the
// credential's values, without asking it.
func (t *Variables) Accept(c rota.Credential) error {
	_, err := t.values(c)
	return err
}

// Preflight implements [rota.Preflighter].
func (t *Variables) Preflight(ctx context.Context) []rota.Finding {
	check := "read and write variables of " + t.Place.String()
	var list api.ActionsVariables
	resp, err := t.Connection.call(ctx, t.access(), "list the variables of "+t.Place.String(), http.MethodGet, t.path()+"?per_page=1", nil, &list)
	if err != nil {
		return []rota.Finding{provider.Found(check, "", missing(t.Place, err))}
	}
	findings := t.Connection.expiry(resp.TokenExpiration.Time)
	lacking := 0
	for _, name := range t.Fields.Names() {
		var exists bool
		if _, exists, err = t.get(ctx, name); err != nil {
			break
		}
		if !exists {
			lacking++
		}
	}
	most := maxVariablesOfRepository
	switch {
	case t.Place.Repository == "":
		most = maxVariablesOfOrganization
	case t.Place.Environment != "":
		most = maxVariablesOfEnvironment
	}
	if err == nil {
		err = room("variables", list.TotalCount, lacking, most)
	}
	return append(findings, provider.Found(check, "", err))
}

// Holders implements [rota.HolderReporter]: workflow runs that were queued before
// the new values were in place, and variables that someone has changed since.
func (t *Variables) Holders(ctx context.Context, r rota.HoldersRequest) ([]rota.Holder, error) {
	all := false
	for _, name := range t.Fields.Names() {
		v, exists, err := t.get(ctx, name)
		if err != nil {
			return nil, err
		}
		if h := t.Connection.changedSince("variable "+name+" of "+t.Place.String(), v.GetUpdatedAt().Time, r); exists && len(h) > 0 {
			return h, nil
		}
		all = all || exists && v.GetVisibility() != "selected"
	}
	if t.NoWait {
		return nil, nil
	}
	repositories, err := t.repositories(ctx, all)
	if err != nil {
		return nil, err
	}
	return t.Connection.runsBefore(ctx, repositories, r.Since)
}

// repositories are those whose runs read the variables.
func (t *Variables) repositories(ctx context.Context, all bool) ([]string, error) {
	switch {
	case len(t.WaitFor) > 0:
		return t.WaitFor, nil
	case t.Place.Repository != "":
		return []string{t.Place.Owner + "/" + t.Place.Repository}, nil
	case all:
		return t.Connection.repositoriesOf(ctx, t.Place.Owner)
	}
	var selected []string
	for _, name := range t.Fields.Names() {
		_, some, err := t.Connection.selected(ctx, t.access(), t.path()+"/"+name, "variable "+name+" of "+t.Place.String(), false)
		if err != nil && provider.StatusOf(err) != http.StatusNotFound {
			return nil, err
		}
		selected = append(selected, some...)
	}
	slices.Sort(selected)
	return slices.Compact(selected), nil
}

// changedSince is the holder of something that was changed after a delivery: nobody
// knows whether it has the new value. The time of a delivery is Rota's, and that of a
// change GitHub's.
func (c *Connection) changedSince(what string, changed time.Time, r rota.HoldersRequest) []rota.Holder {
	there, _ := c.clock.There(r.Since)
	if !changed.After(there.Add(skew)) {
		return nil
	}
	return []rota.Holder{{
		Name:     fmt.Sprintf("%s, which someone has changed since, at %s", what, changed.UTC().Format("2006-01-02 15:04 UTC")),
		Remedies: []rota.Remedy{{Action: rota.RemedyDeliver, Secret: r.Secret}},
	}}
}
