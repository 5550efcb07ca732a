package access

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// Administration manages principals and keys on behalf of administrators. Each
// call checks the caller and writes an audit entry whose Object is the
// principal or key. A change and its entry are atomic; refusals are audited
// too.
type Administration struct {
	directory Directory
	recorder  Recorder
	now       func() time.Time
}

// NewAdministration manages a directory. Pass the [Cache] that the daemon uses,
// so that changes take effect there immediately. now defaults to time.Now.
func NewAdministration(d Directory, r Recorder, now func() time.Time) *Administration {
	if now == nil {
		now = time.Now
	}
	return &Administration{directory: d, recorder: r, now: now}
}

// FirstAdministrator is the principal that [Administration.Bootstrap] creates.
const FirstAdministrator = "admin"

// Errors that callers distinguish.
var (
	// ErrExists: a principal of that name exists, or, for a bootstrap, any
	// principal at all.
	ErrExists = errors.New("exists already")
	// ErrInvalid: the request itself is wrong, such as a rule or a name.
	ErrInvalid = errors.New("invalid request")
	// ErrLastAdministrator: nobody could administer Rota any more.
	ErrLastAdministrator = rota.WithRemedies(errors.New("no administrator would be left"), rota.Outside("create another administrator with a key first"))
)

// Bootstrap creates the first administrator and returns their key. It works
// only while there are no principals, and so only once: of several concurrent
// callers one gets a key, and the others get [ErrExists].
func (a *Administration) Bootstrap(ctx context.Context) (Issued, error) {
	caller := Caller{Principal: "bootstrap", Method: "local"}
	now := a.now()
	issued := newIssued(FirstAdministrator, now, time.Time{})
	err := a.directory.Update(ctx, func(c *Change) error {
		if len(c.Principals) > 0 {
			return rota.WithRemedies(fmt.Errorf("the first administrator: a principal %w", ErrExists), append(rota.Outside("use an administrator's key"), rota.Command("rota access create-key "+FirstAdministrator)...))
		}
		c.Principals = []Principal{{Name: FirstAdministrator, Rules: Local("").Rules, CreatedAt: now.UTC()}}
		c.AddKey(&c.Principals[0], issued.Key, issued.Secret)
		return nil
	}, entry(caller, now, "bootstrap", FirstAdministrator, issued.Key.ID, rotation.OutcomeSucceeded, ""))
	if err != nil {
		return Issued{}, err
	}
	return issued, nil
}

// Principals lists all principals with their keys, sorted by name.
func (a *Administration) Principals(ctx context.Context, caller Caller) ([]Principal, error) {
	if err := a.authorize(ctx, caller, rotation.OpListPrincipals, ""); err != nil {
		return nil, err
	}
	return a.directory.Principals(ctx)
}

// Principal returns one principal with their keys, or [rota.ErrNotFound].
func (a *Administration) Principal(ctx context.Context, caller Caller, name string) (Principal, error) {
	if err := a.authorize(ctx, caller, rotation.OpShowPrincipal, name); err != nil {
		return Principal{}, err
	}
	all, err := a.directory.Principals(ctx)
	if err != nil {
		return Principal{}, err
	}
	p, err := NewChange(all).Find(name)
	if err != nil {
		return Principal{}, err
	}
	return *p, nil
}

// Create creates a principal, with or without rules. It doesn't have a key yet.
func (a *Administration) Create(ctx context.Context, caller Caller, name string, rules ...Rule) error {
	normal, err := normalizeRules(rules)
	if wrong := CheckName(name); wrong != nil {
		name, err = "", wrong // which could be anything, including a secret
	}
	return a.change(ctx, caller, rotation.OpCreatePrincipal, name, "", joinRules(normal), err, func(c *Change) error {
		if _, err := c.Find(name); err == nil {
			return rota.WithRemedies(fmt.Errorf("principal %q %w", name, ErrExists), rota.Command("rota access grant "+name))
		}
		c.Principals = append(c.Principals, Principal{Name: name, Rules: normal, CreatedAt: a.now().UTC()})
		return nil
	})
}

// Grant adds rules to a principal. It keeps existing ones.
func (a *Administration) Grant(ctx context.Context, caller Caller, name string, rules ...Rule) error {
	return a.change(ctx, caller, rotation.OpGrant, name, "", joinRules(rules), ValidateRules(rules), func(c *Change) error {
		p, err := c.Find(name)
		if err != nil {
			return err
		}
		p.Rules, err = normalizeRules(append(p.Rules, rules...))
		return err
	})
}

// Revoke removes rules from a principal. If the principal doesn't have one of
// them, the error is [rota.ErrNotFound] and nothing changes.
func (a *Administration) Revoke(ctx context.Context, caller Caller, name string, rules ...Rule) error {
	var wrong error
	if len(rules) == 0 {
		wrong = rota.WithRemedies(errors.New("no rule given"), rota.Command("rota access list"))
	}
	return a.change(ctx, caller, rotation.OpRevoke, name, "", joinRules(rules), wrong, func(c *Change) error {
		p, err := c.Find(name)
		if err != nil {
			return err
		}
		for _, r := range rules {
			i := slices.Index(p.Rules, r)
			if i < 0 {
				return notFound("rule", r.String(), ruleTexts(p.Rules))
			}
			p.Rules = slices.Delete(p.Rules, i, i+1)
		}
		return nil
	})
}

// Disable denies access to a principal and all its keys, until
// [Administration.Enable].
func (a *Administration) Disable(ctx context.Context, caller Caller, name string) error {
	return a.setDisabled(ctx, caller, rotation.OpDisablePrincipal, name, true)
}

// Enable is the reverse of [Administration.Disable].
func (a *Administration) Enable(ctx context.Context, caller Caller, name string) error {
	return a.setDisabled(ctx, caller, rotation.OpEnablePrincipal, name, false)
}

func (a *Administration) setDisabled(ctx context.Context, caller Caller, op, name string, disabled bool) error {
	return a.change(ctx, caller, op, name, "", "", nil, func(c *Change) error {
		p, err := c.Find(name)
		if err == nil {
			p.Disabled = disabled
		}
		return err
	})
}

// Delete deletes a principal and all its keys.
func (a *Administration) Delete(ctx context.Context, caller Caller, name string) error {
	return a.change(ctx, caller, rotation.OpDeletePrincipal, name, "", "", nil, func(c *Change) error {
		if _, err := c.Find(name); err != nil {
			return err
		}
		c.Principals = slices.DeleteFunc(c.Principals, func(p Principal) bool { return p.Name == name })
		return nil
	})
}

// normalizeRules validates rules, and returns them sorted and without
// duplicates.
func normalizeRules(rules []Rule) ([]Rule, error) {
	for _, r := range rules {
		if err := r.Validate(); err != nil {
			return nil, err
		}
	}
	rules = slices.Clone(rules)
	slices.SortFunc(rules, func(x, y Rule) int {
		return cmp.Or(cmp.Compare(x.Pattern, y.Pattern), cmp.Compare(x.Action, y.Action))
	})
	return slices.Compact(rules), nil
}
