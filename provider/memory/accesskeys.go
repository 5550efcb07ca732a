package memory

import (
	"context"
	"encoding/base32"
	"fmt"
	"slices"
	"time"

	"github.com/rota-dev/rota"
)

// AccessKeysOptions configure [NewAccessKeys].
type AccessKeysOptions struct {
	Options
	User string // defaults to "ci"
	// Limit defaults to 2, as in IAM.
	Limit int
	// Settle sets the field of [rota.Traits]. Defaults to ListLag.
	Settle time.Duration
	// TestSuccesses sets the field of [rota.Traits]. Defaults to 3.
	TestSuccesses int
	// RefusedLogins is how many logins with a new key fail before it has
	// propagated everywhere.
	RefusedLogins int
	// ListLag is how long a list takes to show a change.
	ListLag time.Duration
	// UseLag is how long LastUsed takes to show a use.
	UseLag time.Duration
	// Lasts returns how long the n-th key lasts, from 1 on; 0 if it doesn't end by
	// itself. By default none does. A key that has ended isn't listed any more.
	Lasts func(n int) time.Duration
}

// AccessKeys issues access keys of one user as IAM does. It chooses the values
// and returns each only once, two can exist, each is active or inactive, their
// last use is recorded, and changes are eventually consistent.
type AccessKeys struct {
	part
	user      string
	traits    rota.Traits
	options   AccessKeysOptions
	keys      []*accessKey
	before    []rota.Issued // the keys before the last write
	count     int
	limitHits int

	deletesActive bool // as Tokens
}

type accessKey struct {
	id, secret string
	foreign    bool
	createdAt  time.Time
	active     bool
	changedAt  time.Time // when active last changed
	gone       bool
	goneAt     time.Time
	ends       time.Time // zero for never
	logins     int
	uses       []time.Time // the last use that LastUsed shows by now, and all later ones
}

// NewAccessKeys makes the issuer for a user that has no keys.
func NewAccessKeys(o AccessKeysOptions) *AccessKeys {
	if o.User == "" {
		o.User = "ci"
	}
	if o.Limit == 0 {
		o.Limit = 2
	}
	if o.TestSuccesses == 0 {
		o.TestSuccesses = 3
	}
	if o.Settle == 0 {
		o.Settle = o.ListLag
	}
	a := &AccessKeys{user: o.User, options: o}
	a.traits = rota.Traits{Kind: "access key", IssuerChooses: true, Limit: o.Limit, TestSuccesses: o.TestSuccesses, ConsistencyDelay: o.Settle}
	a.init(o.Options, "memory iam")
	return a
}

// Traits returns the traits set by the options.
func (a *AccessKeys) Traits() rota.Traits { return a.traits }

// CredentialID returns the access key's id.
func (a *AccessKeys) CredentialID(c rota.Credential) string {
	return c.Field(rota.FieldAccessKeyID)
}

// Create makes an active key, or returns [rota.ErrLimit] if the limit is
// reached.
func (a *AccessKeys) Create(ctx context.Context, _ rota.CreateRequest) (rota.Credential, error) {
	var made rota.Credential
	err := a.do(ctx, "issuer.create", func(Fault) error {
		made = rota.Credential{}
		if len(a.existing()) >= a.traits.Limit {
			a.limitHits++
			return &rota.Error{System: a.opts.System, Op: "create access key for user " + a.user, Class: rota.ClassStop,
				Remedies: rota.Outside("delete a key that nobody uses"), Err: rota.ErrLimit}
		}
		made = a.add(false)
		return nil
	})
	if err != nil {
		return rota.Credential{}, err
	}
	return made, nil
}

// add makes a key. The caller holds the lock.
func (a *AccessKeys) add(foreign bool) rota.Credential {
	a.remember()
	a.count++
	now := a.opts.Now()
	k := &accessKey{
		id:     "AKIA" + base32.StdEncoding.EncodeToString([]byte(value(a.opts.System+a.user, a.count)))[:16],
		secret: value(a.opts.System+a.user+" secret", a.count), foreign: foreign,
		createdAt: now, active: true, changedAt: now,
	}
	if a.options.Lasts != nil {
		if life := a.options.Lasts(a.count); life > 0 {
			k.ends = now.Add(life)
		}
	}
	a.keys = append(a.keys, k)
	a.made = append(a.made, k.id)
	if n := len(a.existing()); n > a.traits.Limit {
		a.broke(fmt.Errorf("user %s has %d keys, more than %d", a.user, n, a.traits.Limit))
	}
	return rota.NewCredential(map[string]string{rota.FieldAccessKeyID: k.id, rota.FieldSecretAccessKey: k.secret})
}

// Set is a no-op: the issuer chose the key.
func (a *AccessKeys) Set(ctx context.Context, _ rota.SetRequest) error {
	return a.do(ctx, "issuer.set", func(Fault) error { return nil })
}

// Test logs in with the key, which counts as a use.
func (a *AccessKeys) Test(ctx context.Context, r rota.TestRequest) error {
	return a.do(ctx, "issuer.test", func(Fault) error {
		id := a.CredentialID(r.Credential)
		if !a.login(id, r.Credential.Field(rota.FieldSecretAccessKey)) {
			return &rota.Error{System: a.opts.System, Op: "log in with access key " + id, Class: rota.ClassWait, Err: rota.ErrRefused}
		}
		return nil
	})
}

// login reports whether the key logs in. The caller holds the lock.
func (a *AccessKeys) login(id, secret string) bool {
	k := a.find(id)
	if k == nil || !k.active || k.secret != secret {
		return false
	}
	if k.logins++; k.logins <= a.options.RefusedLogins {
		return false
	}
	k.uses = append(a.shown(k), a.opts.Now())
	return true
}

// shown returns the key's uses, without those before the last one that is
// visible by now.
func (a *AccessKeys) shown(k *accessKey) []time.Time {
	known := a.opts.Now().Add(-a.options.UseLag)
	for i := len(k.uses) - 1; i > 0; i-- {
		if !k.uses[i].After(known) {
			return slices.Delete(k.uses, 0, i)
		}
	}
	return k.uses
}

// Delete removes an inactive key. It returns [rota.ErrConflict] if the key is
// active.
func (a *AccessKeys) Delete(ctx context.Context, r rota.RetireRequest) error {
	return a.do(ctx, "issuer.delete", func(Fault) error {
		k := a.find(r.CredentialID)
		if k == nil {
			return nil
		}
		if k.active && !a.deletesActive {
			return &rota.Error{System: a.opts.System, Op: "delete access key " + k.id, Class: rota.ClassStop,
				Remedies: rota.Outside("deactivate it first"), Err: fmt.Errorf("it is active: %w", rota.ErrConflict)}
		}
		a.remember()
		k.gone, k.goneAt = true, a.opts.Now()
		a.made = append(a.made, k.id)
		a.keys = slices.DeleteFunc(a.keys, func(k *accessKey) bool {
			return k.gone && !k.goneAt.Add(a.options.ListLag).After(a.opts.Now())
		})
		return nil
	})
}

// List returns the user's keys as of [AccessKeysOptions].ListLag ago.
func (a *AccessKeys) List(ctx context.Context) ([]rota.Issued, error) {
	var list []rota.Issued
	err := a.do(ctx, "issuer.list", func(f Fault) error {
		if f.Stale {
			list = slices.Clone(a.before)
			return nil
		}
		list = a.list(a.options.ListLag)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// LastUsed reports the key's last use, as far as it's visible by now.
func (a *AccessKeys) LastUsed(ctx context.Context, credentialID string) (rota.Use, error) {
	var use rota.Use
	err := a.do(ctx, "issuer.last_used", func(Fault) error {
		k := a.find(credentialID)
		if k == nil {
			return a.notFound("look up last use of access key " + credentialID)
		}
		use = rota.Use{Evidence: rota.EvidenceRecorded}
		k.uses = a.shown(k)
		if len(k.uses) > 0 && !k.uses[0].Add(a.options.UseLag).After(a.opts.Now()) {
			use.At = k.uses[0]
		}
		return nil
	})
	if err != nil {
		return rota.Use{}, err
	}
	return use, nil
}

// Deactivate disables the key.
func (a *AccessKeys) Deactivate(ctx context.Context, r rota.RetireRequest) error {
	return a.do(ctx, "issuer.deactivate", func(Fault) error { return a.turn(r.CredentialID, false) })
}

// Reactivate enables the key again.
func (a *AccessKeys) Reactivate(ctx context.Context, r rota.RetireRequest) error {
	return a.do(ctx, "issuer.reactivate", func(Fault) error { return a.turn(r.CredentialID, true) })
}

func (a *AccessKeys) turn(id string, on bool) error {
	k := a.find(id)
	if k == nil {
		return a.notFound("switch access key " + id)
	}
	if k.active == on {
		return nil
	}
	a.remember()
	k.active, k.changedAt = on, a.opts.Now()
	a.made = append(a.made, id)
	return nil
}

func (a *AccessKeys) notFound(op string) error {
	return &rota.Error{System: a.opts.System, Op: op, Class: rota.ClassStop, Err: rota.ErrNotFound}
}

func (a *AccessKeys) find(id string) *accessKey {
	for _, k := range a.keys {
		if k.id == id && !k.gone && !k.ended(a.opts.Now()) {
			return k
		}
	}
	return nil
}

func (k *accessKey) ended(now time.Time) bool { return !k.ends.IsZero() && !now.Before(k.ends) }

func (a *AccessKeys) existing() []rota.Issued { return a.list(0) }

// list returns the keys as of a while ago. The caller holds the lock.
func (a *AccessKeys) list(ago time.Duration) []rota.Issued {
	at := a.opts.Now().Add(-ago)
	list := make([]rota.Issued, 0, len(a.keys))
	for _, k := range a.keys {
		if k.createdAt.After(at) || (k.gone && !k.goneAt.After(at)) || k.ended(at) {
			continue
		}
		active := k.active
		if k.changedAt.After(at) {
			active = !active
		}
		list = append(list, rota.Issued{ID: k.id, Active: active, CreatedAt: k.createdAt, ExpiresAt: k.ends})
	}
	return list
}
