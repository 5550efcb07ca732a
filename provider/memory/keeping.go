package memory

import (
	"context"

	"github.com/rota-dev/rota"
)

// KeepingOptions configure [NewKeeping].
type KeepingOptions struct {
	Options
	// TestSuccesses sets the field of [rota.Traits]. Defaults to 1.
	TestSuccesses int
}

// Keeping chooses the password of one role and shows the one in force whenever it's
// asked, as Vault's static roles do. Others can have it choose another one.
type Keeping struct {
	part
	options KeepingOptions
	role    string
	count   int // of passwords chosen; the last one is in force
}

// NewKeeping makes the issuer for a role, which has a password already.
func NewKeeping(role string, o KeepingOptions) *Keeping {
	if o.TestSuccesses == 0 {
		o.TestSuccesses = 1
	}
	k := &Keeping{options: o, role: role, count: 1}
	k.init(o.Options, "memory vault")
	return k
}

// Traits returns the traits set by the options.
func (k *Keeping) Traits() rota.Traits {
	return rota.Traits{Kind: "kept password", IssuerChooses: true, Limit: 1, FromCurrent: true, Readable: true, TestSuccesses: k.options.TestSuccesses}
}

// CredentialID returns the role's name.
func (k *Keeping) CredentialID(c rota.Credential) string { return c.Field(rota.FieldUsername) }

// now returns the credential in force. The caller holds the lock.
func (k *Keeping) now() rota.Credential {
	return rota.NewCredential(map[string]string{rota.FieldUsername: k.role, rota.FieldPassword: value(k.opts.System+k.role, k.count)})
}

// next chooses another password. The caller holds the lock.
func (k *Keeping) next() {
	k.count++
	k.made = append(k.made, k.role)
}

// Create returns the credential in force if it isn't the current one, and makes the
// next one only otherwise, or if the request asks for a new one.
func (k *Keeping) Create(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
	var c rota.Credential
	err := k.do(ctx, "issuer.create", func(Fault) error {
		if r.Current.IsZero() || r.Anew || r.Current.Equal(k.now()) {
			k.next()
		}
		c = k.now()
		return nil
	})
	if err != nil {
		return rota.Credential{}, err
	}
	return c, nil
}

// Set is a no-op: the issuer chose the password.
func (k *Keeping) Set(ctx context.Context, _ rota.SetRequest) error {
	return k.do(ctx, "issuer.set", func(Fault) error { return nil })
}

// Test compares with the credential in force. One that isn't never will be again.
func (k *Keeping) Test(ctx context.Context, r rota.TestRequest) error {
	return k.do(ctx, "issuer.test", func(Fault) error {
		if !r.Credential.Equal(k.now()) {
			return &rota.Error{System: k.opts.System, Op: "test the password of " + k.role, Class: rota.ClassRegenerate, Err: rota.ErrRefused}
		}
		return nil
	})
}

// InForce compares with the credential in force.
func (k *Keeping) InForce(ctx context.Context, c rota.Credential) (inForce, known bool, err error) {
	err = k.do(ctx, "issuer.tell", func(Fault) error {
		inForce = c.Equal(k.now())
		return nil
	})
	return inForce && err == nil, err == nil, err
}

// Delete is a no-op: the next password ends the one before.
func (k *Keeping) Delete(ctx context.Context, _ rota.RetireRequest) error {
	return k.do(ctx, "issuer.delete", func(Fault) error { return nil })
}

// Plant has another password chosen, as anyone who may ask the system can, without
// faults, and returns the credential.
func (k *Keeping) Plant() rota.Credential {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.next()
	return k.now()
}

// Now returns the credential in force.
func (k *Keeping) Now() rota.Credential {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now()
}

// Login simulates a consumer logging in with the credential, and reports whether it
// succeeded.
func (k *Keeping) Login(c rota.Credential) bool { return c.Equal(k.Now()) }

// Keys returns the role: it always has a password.
func (k *Keeping) Keys() []rota.Issued { return []rota.Issued{{ID: k.role, Active: true}} }
