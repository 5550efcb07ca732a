package access

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rota-dev/rota/rotation"
)

// Administration is what administrators do with principals and keys. Each call checks
// the caller and leaves an audit entry, whose Object is the principal or key:
// a change together with its entry or not at all, a refusal too.
type Administration struct {
	directory Directory
	recorder  Recorder
	now       func() time.Time
}

// NewAdministration makes one over a directory: the [Cache] that the daemon asks,
// so that a change counts there at once. now defaults to time.Now.
func NewAdministration(d Directory, r Recorder, now func() time.Time) *Administration {
	if now == nil {
		now = time.Now
	}
	return &Administration{directory: d, recorder: r, now: now}
}

// FirstAdministrator is the principal that [Administration.Bootstrap] makes.
const FirstAdministrator = "admin"

// Errors that callers tell apart.
var (
	// ErrExists: there is a principal of that name already, or any at all
	// where the first is to be made.
	ErrExists = errors.New("exists already")
	// ErrLastAdministrator: nobody would be left who may do anything.
	ErrLastAdministrator = errors.New("nobody would be left to administer Rota (try: make another administrator with a key first)")
)

// Bootstrap makes the first administrator and gives his key. It works while
// there is no principal at all, and so once: of several who try at the same
// time one gets a key, the others [ErrExists].
func (a *Administration) Bootstrap(ctx context.Context) (Issued, error) {
	caller := Caller{Principal: "bootstrap", Method: "local"}
	now := a.now()
	issued := newIssued(FirstAdministrator, now, time.Time{})
	err := a.directory.Update(ctx, func(c *Change) error {
		if len(c.Principals) > 0 {
			return fmt.Errorf("the first administrator: a principal %w (try: a key of an administrator; or on Rota's machine, rota access create-key)", ErrExists)
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

// Principals lists all of them with their keys, in order of their names.
func (a *Administration) Principals(ctx context.Context, caller Caller) ([]Principal, error) {
	if err := a.authorize(ctx, caller, "list principals", ""); err != nil {
		return nil, err
	}
	return a.directory.Principals(ctx)
}

// Principal gives one with his keys, or [rota.ErrNotFound].
func (a *Administration) Principal(ctx context.Context, caller Caller, name string) (Principal, error) {
	if err := a.authorize(ctx, caller, "show principal", name); err != nil {
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

// Create makes a principal, with rules or without. It has no key yet.
func (a *Administration) Create(ctx context.Context, caller Caller, name string, rules ...Rule) error {
	if err := CheckName(name); err != nil {
		return err
	}
	rules, err := normalizeRules(rules)
	if err != nil {
		return err
	}
	return a.change(ctx, caller, "create principal", name, "", joinRules(rules), func(c *Change) error {
		if _, err := c.Find(name); err == nil {
			return fmt.Errorf("principal %q %w (try: rota access grant)", name, ErrExists)
		}
		c.Principals = append(c.Principals, Principal{Name: name, Rules: rules, CreatedAt: a.now().UTC()})
		return nil
	})
}

// Grant adds rules to a principal. Those that it has are left.
func (a *Administration) Grant(ctx context.Context, caller Caller, name string, rules ...Rule) error {
	if err := ValidateRules(rules); err != nil {
		return err
	}
	return a.change(ctx, caller, "grant", name, "", joinRules(rules), func(c *Change) error {
		p, err := c.Find(name)
		if err != nil {
			return err
		}
		p.Rules, err = normalizeRules(append(p.Rules, rules...))
		return err
	})
}

// Revoke takes rules from a principal. One that it does not have is
// [rota.ErrNotFound], and nothing is changed.
func (a *Administration) Revoke(ctx context.Context, caller Caller, name string, rules ...Rule) error {
	if len(rules) == 0 {
		return errors.New("no rule is given (try: rota access show, for those that the principal has)")
	}
	return a.change(ctx, caller, "revoke", name, "", joinRules(rules), func(c *Change) error {
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

// Disable refuses a principal with all its keys, until [Administration.Enable].
func (a *Administration) Disable(ctx context.Context, caller Caller, name string) error {
	return a.setDisabled(ctx, caller, "disable principal", name, true)
}

// Enable is the reverse of [Administration.Disable].
func (a *Administration) Enable(ctx context.Context, caller Caller, name string) error {
	return a.setDisabled(ctx, caller, "enable principal", name, false)
}

func (a *Administration) setDisabled(ctx context.Context, caller Caller, op, name string, disabled bool) error {
	return a.change(ctx, caller, op, name, "", "", func(c *Change) error {
		p, err := c.Find(name)
		if err == nil {
			p.Disabled = disabled
		}
		return err
	})
}

// Delete removes a principal with all its keys.
func (a *Administration) Delete(ctx context.Context, caller Caller, name string) error {
	return a.change(ctx, caller, "delete principal", name, "", "", func(c *Change) error {
		if _, err := c.Find(name); err != nil {
			return err
		}
		c.Principals = slices.DeleteFunc(c.Principals, func(p Principal) bool { return p.Name == name })
		return nil
	})
}

// normalizeRules validates rules, and gives them sorted, each once.
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
