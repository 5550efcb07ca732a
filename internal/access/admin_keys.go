package access

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// CreateKey creates another key for a principal. Its secret is returned once
// and never shown again. The key expires at the given time; zero means never.
func (a *Administration) CreateKey(ctx context.Context, caller Caller, principal string, expires time.Time) (Issued, error) {
	now := a.now()
	var wrong error
	if !expires.IsZero() && !expires.After(now) {
		wrong = rota.WithRemedies(fmt.Errorf("the expiry date %s is in the past", expires.UTC().Format(time.RFC3339)), rota.Outside("a later time"))
	}
	issued := newIssued(principal, now, expires)
	var detail string
	if !expires.IsZero() {
		detail = "expires " + expires.UTC().Format(time.RFC3339)
	}
	err := a.change(ctx, caller, rotation.OpCreateKey, principal, issued.Key.ID, detail, wrong, func(c *Change) error {
		p, err := c.Find(principal)
		if err == nil {
			c.AddKey(p, issued.Key, issued.Secret)
		}
		return err
	})
	if err != nil {
		return Issued{}, err
	}
	return issued, nil
}

// DisableKey disables a key until [Administration.EnableKey].
func (a *Administration) DisableKey(ctx context.Context, caller Caller, id string) error {
	return a.setKeyDisabled(ctx, caller, rotation.OpDisableKey, id, true)
}

// EnableKey is the reverse of [Administration.DisableKey].
func (a *Administration) EnableKey(ctx context.Context, caller Caller, id string) error {
	return a.setKeyDisabled(ctx, caller, rotation.OpEnableKey, id, false)
}

func (a *Administration) setKeyDisabled(ctx context.Context, caller Caller, op, id string, disabled bool) error {
	return a.change(ctx, caller, op, "", id, "", checkKeyID(id), func(c *Change) error {
		_, k, err := c.FindKey(id)
		if err == nil {
			k.Disabled = disabled
		}
		return err
	})
}

// DeleteKey deletes a key.
func (a *Administration) DeleteKey(ctx context.Context, caller Caller, id string) error {
	return a.change(ctx, caller, rotation.OpDeleteKey, "", id, "", checkKeyID(id), func(c *Change) error {
		p, _, err := c.FindKey(id)
		if err == nil {
			p.Keys = slices.DeleteFunc(p.Keys, func(k Key) bool { return k.ID == id })
		}
		return err
	})
}

// checkKeyID also keeps a token that was passed instead of an id out of the
// audit and of errors.
func checkKeyID(id string) error {
	if !IsKeyID(id) {
		return rota.WithRemedies(errors.New("that isn't a key id, which is 20 characters long and begins with ROTA"), rota.Command("rota access list"))
	}
	return nil
}

func newIssued(principal string, now, expires time.Time) Issued {
	k := Key{ID: newKeyID(), CreatedAt: now.UTC(), ExpiresAt: expires.UTC()}
	return Issued{Principal: principal, Key: k, Secret: GenerateSecret()}
}

// change carries out an administrator's change, unless it removes the last
// administrator. wrong is what's wrong with the request, which only
// administrators are told.
func (a *Administration) change(ctx context.Context, caller Caller, op, principal, key, detail string, wrong error, change func(*Change) error) error {
	if err := a.authorize(ctx, caller, op, principal); err != nil {
		return err
	}
	if wrong != nil {
		return Invalid(wrong)
	}
	now := a.now()
	return a.directory.Update(ctx, func(c *Change) error {
		before := anyAdministrator(c.Principals, now)
		if err := change(c); err != nil {
			return err
		}
		if before && !anyAdministrator(c.Principals, now) {
			return fmt.Errorf("%s: %w", op, ErrLastAdministrator)
		}
		return nil
	}, entry(caller, now, op, principal, key, rotation.OutcomeSucceeded, detail))
}

// invalid is an error that also is ErrInvalid, with the same text.
type invalid struct{ error }

func (i invalid) Unwrap() []error { return []error{i.error, ErrInvalid} }

// Invalid makes an error one that is [ErrInvalid].
func Invalid(err error) error { return invalid{err} }

// Authorize denies everyone but administrators: for servers, before they read a
// request any further. op is the operation's name in the audit.
func (a *Administration) Authorize(ctx context.Context, caller Caller, op, principal string) error {
	if CheckName(principal) != nil {
		principal = "" // it could be anything, including a secret
	}
	return a.authorize(ctx, caller, op, principal)
}

// authorize denies everyone but administrators, as [Authorize] does.
func (a *Administration) authorize(ctx context.Context, caller Caller, op, principal string) error {
	if caller.Allows(Admin, "") {
		return nil
	}
	denied := rota.WithRemedies(fmt.Errorf("%s may not administer access: %w", caller.Principal, ErrDenied), askForRule(Admin, "*"))
	return refuse(ctx, denied, a.recorder, entry(caller, a.now(), op, principal, "", rotation.OutcomeDenied, ""))
}

func anyAdministrator(principals []Principal, now time.Time) bool {
	return slices.ContainsFunc(principals, func(p Principal) bool { return p.isAdministrator(now) })
}

// entry names the principal as the object, and a key as the credential.
func entry(caller Caller, now time.Time, op, principal, key string, o rotation.Outcome, detail string) rotation.Entry {
	e := caller.Entry(now, op, "", o, detail)
	e.Object, e.Credential = principal, key
	return e
}

func ruleTexts(rules []Rule) []string {
	all := make([]string, len(rules))
	for i, r := range rules {
		all[i] = r.String()
	}
	return all
}

func joinRules(rules []Rule) string { return strings.Join(ruleTexts(rules), " ") }
