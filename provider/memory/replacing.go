package memory

import (
	"context"
	"encoding/base32"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rota-dev/rota"
)

// ReplacingOptions configure [NewReplacing].
type ReplacingOptions struct {
	Options
	// RefusedLogins is how many logins with a new token fail before it has propagated
	// everywhere.
	RefusedLogins int
	// ListLag is how long a list takes to show a change.
	ListLag time.Duration
	// Settle sets the ConsistencyDelay of [rota.Traits]. Defaults to ListLag.
	Settle time.Duration
	// TestSuccesses sets the field of [rota.Traits]. Defaults to 3.
	TestSuccesses int
}

// Replacing issues the one token that a user has at a time, as GitLab's endpoint for
// rotation does: the next one is made from the one in use, which it ends.
type Replacing struct {
	part
	options ReplacingOptions
	tokens  []*token
	count   int
}

type token struct {
	id, secret     string
	created, ended time.Time // ended is zero while it's valid
	logins         int
	used           time.Time
}

// NewReplacing makes the issuer of a user without a token.
func NewReplacing(o ReplacingOptions) *Replacing {
	if o.TestSuccesses == 0 {
		o.TestSuccesses = 3
	}
	if o.Settle == 0 {
		o.Settle = o.ListLag
	}
	r := &Replacing{options: o}
	r.init(o.Options, "memory tokens")
	return r
}

// Traits returns the traits set by the options.
func (p *Replacing) Traits() rota.Traits {
	return rota.Traits{Kind: "replaced token", IssuerChooses: true, Limit: 1, Replaces: true,
		TestSuccesses: p.options.TestSuccesses, ConsistencyDelay: p.options.Settle}
}

// CredentialID returns the token's id.
func (p *Replacing) CredentialID(c rota.Credential) string { return c.Field(rota.FieldAccessKeyID) }

// Create ends the token that the request names and makes the next one. A token that has
// ended can't be replaced.
func (p *Replacing) Create(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
	var made rota.Credential
	err := p.do(ctx, "issuer.create", func(Fault) error {
		old := p.find(r.Replaces)
		if old == nil || !old.ended.IsZero() {
			return &rota.Error{System: p.opts.System, Op: "replace token " + r.Replaces, Class: rota.ClassStop,
				Remedies: rota.Outside("make a token by hand"), Err: errors.New("it isn't valid, so nothing can be made from it")}
		}
		made = p.add()
		return nil
	})
	if err != nil {
		return rota.Credential{}, err
	}
	return made, nil
}

// add makes a token and ends all others. The caller holds the lock.
func (p *Replacing) add() rota.Credential {
	now := p.opts.Now()
	p.tokens = slices.DeleteFunc(p.tokens, func(k *token) bool {
		return !k.ended.IsZero() && k.ended.Add(p.options.ListLag).Before(now)
	})
	for _, k := range p.tokens {
		if k.ended.IsZero() {
			k.ended = now
		}
	}
	p.count++
	k := &token{
		id:      "T" + base32.StdEncoding.EncodeToString([]byte(value(p.opts.System+"token", p.count)))[:12],
		secret:  value(p.opts.System+"token secret", p.count),
		created: now,
	}
	p.tokens = append(p.tokens, k)
	p.made = append(p.made, k.id)
	return rota.NewCredential(map[string]string{rota.FieldAccessKeyID: k.id, rota.FieldSecretAccessKey: k.secret})
}

func (p *Replacing) find(id string) *token {
	i := slices.IndexFunc(p.tokens, func(k *token) bool { return k.id == id })
	if i < 0 {
		return nil
	}
	return p.tokens[i]
}

// Set is a no-op: the issuer chose the token.
func (p *Replacing) Set(ctx context.Context, _ rota.SetRequest) error {
	return p.do(ctx, "issuer.set", func(Fault) error { return nil })
}

// Test logs in with the token, which counts as a use.
func (p *Replacing) Test(ctx context.Context, r rota.TestRequest) error {
	return p.do(ctx, "issuer.test", func(Fault) error {
		if !p.login(r.Credential) {
			return &rota.Error{System: p.opts.System, Op: "log in with token " + p.CredentialID(r.Credential), Class: rota.ClassWait, Err: rota.ErrRefused}
		}
		return nil
	})
}

// login reports whether the token logs in. The caller holds the lock.
func (p *Replacing) login(c rota.Credential) bool {
	k := p.find(p.CredentialID(c))
	if k == nil || !k.ended.IsZero() || k.secret != c.Field(rota.FieldSecretAccessKey) {
		return false
	}
	if k.logins++; k.logins <= p.options.RefusedLogins {
		return false
	}
	k.used = p.opts.Now()
	return true
}

// Delete revokes the token.
func (p *Replacing) Delete(ctx context.Context, r rota.RetireRequest) error {
	return p.do(ctx, "issuer.delete", func(Fault) error {
		p.end(r.CredentialID)
		return nil
	})
}

// end revokes a token. The caller holds the lock.
func (p *Replacing) end(id string) {
	if k := p.find(id); k != nil && k.ended.IsZero() {
		k.ended = p.opts.Now()
		p.made = append(p.made, id)
	}
}

// List returns the valid tokens as of [ReplacingOptions].ListLag ago.
func (p *Replacing) List(ctx context.Context) ([]rota.Issued, error) {
	var list []rota.Issued
	err := p.do(ctx, "issuer.list", func(Fault) error {
		list = p.valid(p.opts.Now().Add(-p.options.ListLag))
		return nil
	})
	return list, err
}

// valid returns the tokens that were valid then. The caller holds the lock.
func (p *Replacing) valid(at time.Time) []rota.Issued {
	list := []rota.Issued{}
	for _, k := range p.tokens {
		if !k.created.After(at) && (k.ended.IsZero() || k.ended.After(at)) {
			list = append(list, rota.Issued{ID: k.id, Active: true, CreatedAt: k.created})
		}
	}
	return list
}

// LastUsed reports the token's last use.
func (p *Replacing) LastUsed(ctx context.Context, credentialID string) (rota.Use, error) {
	var use rota.Use
	err := p.do(ctx, "issuer.last_used", func(Fault) error {
		k := p.find(credentialID)
		if k == nil {
			return &rota.Error{System: p.opts.System, Op: "look up last use of token " + credentialID, Class: rota.ClassStop, Err: fmt.Errorf("%w", rota.ErrNotFound)}
		}
		use = rota.Use{Evidence: rota.EvidenceRecorded, At: k.used}
		return nil
	})
	return use, err
}

// Plant makes a token by hand, in place of the one there is, without faults.
func (p *Replacing) Plant() rota.Credential {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.add()
}

// Revoke ends a token as its user would, without faults.
func (p *Replacing) Revoke(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end(id)
}

// Login simulates a consumer logging in with the credential, and reports whether it
// succeeded.
func (p *Replacing) Login(c rota.Credential) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.login(c)
}

// Keys returns the token that's actually valid now, however stale a list is.
func (p *Replacing) Keys() []rota.Issued {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.valid(p.opts.Now())
}
