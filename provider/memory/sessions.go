package memory

import (
	"context"
	"encoding/base32"
	"errors"
	"slices"
	"time"

	"github.com/rota-dev/rota"
)

// SessionsOptions configure [NewSessions].
type SessionsOptions struct {
	Options
	// Lifetime is how long a session's key is valid. Defaults to an hour.
	Lifetime time.Duration
	// RefusedLogins is how many logins with a new key fail before it has
	// propagated everywhere.
	RefusedLogins int
	// Revocable means that a session can be ended before it expires, as Vault's leases.
	Revocable bool
	// RenewFor is how long a session lasts after it was made or renewed, within its
	// Lifetime. Defaults to the whole Lifetime, without renewals.
	RenewFor time.Duration
	// Most is how long a session can be renewed for. Defaults to its Lifetime.
	Most time.Duration
}

// Sessions issues the temporary keys of one role as STS does. It chooses the
// values, returns each only once, can't list them, and each expires on its own.
type Sessions struct {
	part
	options SessionsOptions
	keys    []*session
	count   int
}

type session struct {
	id, secret    string
	created, ends time.Time
	until         time.Time // when it ends unless it's renewed; zero if it doesn't before
	logins        int
}

// NewSessions makes the issuer for a role's sessions.
func NewSessions(o SessionsOptions) *Sessions {
	if o.Lifetime == 0 {
		o.Lifetime = time.Hour
	}
	s := &Sessions{options: o}
	s.init(o.Options, "memory sts")
	return s
}

// Traits returns the traits set by the options.
func (s *Sessions) Traits() rota.Traits {
	return rota.Traits{Kind: "session key", IssuerChooses: true, TestSuccesses: 3, Lifetime: s.options.Lifetime, Revocable: s.options.Revocable, Renewable: s.options.RenewFor > 0}
}

// CredentialID returns the key's id.
func (s *Sessions) CredentialID(c rota.Credential) string { return c.Field(rota.FieldAccessKeyID) }

// Create makes a key that expires after the options' lifetime.
func (s *Sessions) Create(ctx context.Context, _ rota.CreateRequest) (rota.Credential, error) {
	var made rota.Credential
	err := s.do(ctx, "issuer.create", func(Fault) error {
		s.count++
		now := s.opts.Now()
		k := &session{
			id:      "ASIA" + base32.StdEncoding.EncodeToString([]byte(value(s.opts.System+"session", s.count)))[:16],
			secret:  value(s.opts.System+"session secret", s.count),
			created: now, ends: now.Add(s.options.Lifetime).Truncate(time.Second),
		}
		if s.options.RenewFor > 0 {
			k.until = s.extended(k, now, k.ends, false)
		}
		s.keys = append(s.living(), k)
		s.made = append(s.made, k.id)
		made = rota.NewCredential(map[string]string{
			rota.FieldAccessKeyID: k.id, rota.FieldSecretAccessKey: k.secret,
			rota.FieldExpiration: k.ends.UTC().Format(time.RFC3339),
		})
		return nil
	})
	if err != nil {
		return rota.Credential{}, err
	}
	return made, nil
}

// living returns the keys that haven't expired. The caller holds the lock.
func (s *Sessions) living() []*session {
	now := s.opts.Now()
	return slices.DeleteFunc(s.keys, func(k *session) bool { return !now.Before(k.ends) || !k.until.IsZero() && !now.Before(k.until) })
}

// Renew extends a session from now on, by the options' RenewFor.
func (s *Sessions) Renew(ctx context.Context, r rota.RenewRequest) (time.Time, error) {
	var until time.Time
	err := s.do(ctx, "issuer.renew", func(Fault) error {
		s.keys = s.living()
		i := slices.IndexFunc(s.keys, func(k *session) bool { return k.id == r.CredentialID })
		if i < 0 {
			return &rota.Error{System: s.opts.System, Op: "renew session key " + r.CredentialID, Class: rota.ClassStop, Err: rota.ErrNotFound}
		}
		k := s.keys[i]
		k.until = s.extended(k, s.opts.Now(), r.Until, r.Final)
		until = k.until
		s.made = append(s.made, k.id)
		return nil
	})
	if err == nil || errors.Is(err, rota.ErrNotFound) {
		return until, err
	}
	_ = s.do(ctx, "issuer.ends", func(Fault) error {
		if i := slices.IndexFunc(s.keys, func(k *session) bool { return k.id == r.CredentialID }); i >= 0 {
			until = s.keys[i].until
		}
		return nil
	})
	return until, err
}

// extended is when a session ends that's renewed now.
func (s *Sessions) extended(k *session, now, meant time.Time, final bool) time.Time {
	until := now.Add(s.options.RenewFor)
	if final {
		until = meant
	}
	if s.options.Most > 0 && until.After(k.created.Add(s.options.Most)) {
		until = k.created.Add(s.options.Most)
	}
	if meant.Before(until) {
		until = meant
	}
	return until
}

// Set is a no-op: the issuer chose the key.
func (s *Sessions) Set(ctx context.Context, _ rota.SetRequest) error {
	return s.do(ctx, "issuer.set", func(Fault) error { return nil })
}

// Test logs in with the key.
func (s *Sessions) Test(ctx context.Context, r rota.TestRequest) error {
	return s.do(ctx, "issuer.test", func(Fault) error {
		if !s.login(r.Credential) {
			return &rota.Error{System: s.opts.System, Op: "log in with session key " + s.CredentialID(r.Credential), Class: rota.ClassWait, Err: rota.ErrRefused}
		}
		return nil
	})
}

// login reports whether the key logs in. The caller holds the lock.
func (s *Sessions) login(c rota.Credential) bool {
	s.keys = s.living()
	i := slices.IndexFunc(s.keys, func(k *session) bool { return k.id == s.CredentialID(c) })
	if i < 0 || s.keys[i].secret != c.Field(rota.FieldSecretAccessKey) {
		return false
	}
	s.keys[i].logins++
	return s.keys[i].logins > s.options.RefusedLogins
}

// Delete is a no-op unless sessions can be revoked: they expire on their own.
func (s *Sessions) Delete(ctx context.Context, r rota.RetireRequest) error {
	return s.do(ctx, "issuer.delete", func(Fault) error {
		if s.options.Revocable {
			s.end(r.CredentialID)
		}
		return nil
	})
}

// end ends a session. The caller holds the lock.
func (s *Sessions) end(id string) {
	n := len(s.keys)
	s.keys = slices.DeleteFunc(s.keys, func(k *session) bool { return k.id == id })
	if len(s.keys) < n {
		s.made = append(s.made, id)
	}
}

// Revoke ends a session as somebody else would, without faults.
func (s *Sessions) Revoke(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end(id)
}

// Login simulates a consumer logging in with the credential, and reports
// whether it succeeded.
func (s *Sessions) Login(c rota.Credential) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.login(c)
}

// Keys returns the keys that haven't expired. They end at ExpiresAt unless they're renewed.
func (s *Sessions) Keys() []rota.Issued {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []rota.Issued
	s.keys = s.living()
	for _, k := range s.keys {
		end := k.ends
		if !k.until.IsZero() {
			end = k.until
		}
		list = append(list, rota.Issued{ID: k.id, Active: true, CreatedAt: k.created, ExpiresAt: end})
	}
	return list
}
