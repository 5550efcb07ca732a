package memory

import (
	"context"
	"fmt"
	"slices"

	"github.com/rota-dev/rota"
)

// Hashed issues the passwords of one account that has two of them, as MySQL does.
// Rota chooses them, and the account keeps salted hashes: the list can only name a
// password that CredentialID was called with before, in this process.
type Hashed struct {
	part
	options  RolesOptions
	account  string
	hashes   []*hash         // two at most, the newest first
	seen     map[string]bool // passwords
	sessions int
	count    int
}

type hash struct {
	password string
	salt     int
	logins   int
}

// maxHashes is how many passwords an account has at once.
const maxHashes = 2

// NewHashed makes the issuer for an account that has no password yet.
func NewHashed(account string, o RolesOptions) *Hashed {
	if o.TestSuccesses == 0 {
		o.TestSuccesses = 3
	}
	h := &Hashed{options: o, account: account, seen: map[string]bool{}}
	h.init(o.Options, "memory mysql")
	return h
}

// Traits returns the traits set by the options.
func (h *Hashed) Traits() rota.Traits {
	return rota.Traits{Kind: "hashed password", Limit: maxHashes, TestSuccesses: h.options.TestSuccesses, ListsByValue: true}
}

// CredentialID returns the account's name with a few digits that stand for the
// password, which is recognized from then on.
func (h *Hashed) CredentialID(c rota.Credential) string {
	if c.Field(rota.FieldUsername) == "" || c.Field(rota.FieldPassword) == "" {
		return ""
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen[c.Field(rota.FieldPassword)] = true
	return h.id(c.Field(rota.FieldPassword))
}

// ID is CredentialID without remembering anything.
func (h *Hashed) ID(c rota.Credential) string {
	if c.Field(rota.FieldUsername) == "" || c.Field(rota.FieldPassword) == "" {
		return ""
	}
	return h.id(c.Field(rota.FieldPassword))
}

func (h *Hashed) id(password string) string { return h.account + ":" + value(password, 0)[:8] }

// name is how a list names a hash. The caller holds the lock.
func (h *Hashed) name(k *hash) string {
	if h.seen[k.password] {
		return h.id(k.password)
	}
	return fmt.Sprintf("%s:unknown-%d", h.account, k.salt)
}

// Forget forgets which passwords it has seen, as a new process has.
func (h *Hashed) Forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.seen)
}

// Create chooses a password and changes nothing at the account.
func (h *Hashed) Create(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
	var made rota.Credential
	err := h.do(ctx, "issuer.create", func(Fault) error {
		if len(r.Taken) >= maxHashes {
			return h.refuse("choose a password", rota.ClassStop, rota.ErrLimit)
		}
		h.count++
		made = rota.NewCredential(map[string]string{rota.FieldUsername: h.account, rota.FieldPassword: value(h.opts.System+h.account, h.count)})
		h.seen[made.Field(rota.FieldPassword)] = true
		return nil
	})
	if err != nil {
		return rota.Credential{}, err
	}
	return made, nil
}

// Set makes the password the account's newest one, beside the one it has. It refuses
// to end an older one.
func (h *Hashed) Set(ctx context.Context, r rota.SetRequest) error {
	return h.do(ctx, "issuer.set", func(Fault) error {
		password := r.Credential.Field(rota.FieldPassword)
		if h.find(password) != nil {
			return nil
		}
		if h.options.Accept != nil {
			if err := h.options.Accept(password); err != nil {
				return h.refuse("add a password to "+h.account, rota.ClassRegenerate, rota.Sanitize(err, r.Credential))
			}
		}
		if len(h.hashes) >= maxHashes {
			return h.refuse("add a password to "+h.account, rota.ClassStop, rota.ErrLimit)
		}
		h.seen[password] = true
		h.add(password)
		h.made = append(h.made, h.id(password))
		return nil
	})
}

// add adds a password. The caller holds the lock.
func (h *Hashed) add(password string) {
	h.count++
	h.hashes = slices.Insert(h.hashes, 0, &hash{password: password, salt: h.count})
}

func (h *Hashed) find(password string) *hash {
	i := slices.IndexFunc(h.hashes, func(k *hash) bool { return k.password == password })
	if i < 0 {
		return nil
	}
	return h.hashes[i]
}

func (h *Hashed) refuse(op string, class rota.Class, err error) error {
	return &rota.Error{System: h.opts.System, Op: op, Class: class, Err: err}
}

// Test logs in once.
func (h *Hashed) Test(ctx context.Context, r rota.TestRequest) error {
	return h.do(ctx, "issuer.test", func(Fault) error {
		if !h.login(r.Credential) {
			return h.refuse("log in to "+h.account, rota.ClassWait, rota.ErrRefused)
		}
		return nil
	})
}

// login reports whether the credential logs in. The caller holds the lock.
func (h *Hashed) login(c rota.Credential) bool {
	k := h.find(c.Field(rota.FieldPassword))
	if k == nil || c.Field(rota.FieldUsername) != h.account {
		return false
	}
	k.logins++
	return k.logins > h.options.RefusedLogins
}

// InForce reports whether the password is one of the account's.
func (h *Hashed) InForce(ctx context.Context, c rota.Credential) (inForce, known bool, err error) {
	err = h.do(ctx, "issuer.tell", func(Fault) error {
		inForce = h.find(c.Field(rota.FieldPassword)) != nil
		return nil
	})
	return inForce && err == nil, err == nil, err
}

// Delete discards a password.
func (h *Hashed) Delete(ctx context.Context, r rota.RetireRequest) error {
	return h.do(ctx, "issuer.delete", func(Fault) error {
		h.discard(r.CredentialID)
		return nil
	})
}

// discard discards the password with that name. The caller holds the lock.
func (h *Hashed) discard(id string) {
	n := len(h.hashes)
	h.hashes = slices.DeleteFunc(h.hashes, func(k *hash) bool { return h.name(k) == id })
	if len(h.hashes) < n {
		h.made = append(h.made, id)
	}
}

// List returns the account's passwords, whoever set them.
func (h *Hashed) List(ctx context.Context) ([]rota.Issued, error) {
	var list []rota.Issued
	err := h.do(ctx, "issuer.list", func(Fault) error {
		list = []rota.Issued{}
		for _, k := range h.hashes {
			list = append(list, rota.Issued{ID: h.name(k), Active: true})
		}
		return nil
	})
	return list, err
}

// LastUsed reports the account's open sessions, which don't show with which of its
// passwords they logged in.
func (h *Hashed) LastUsed(ctx context.Context, credentialID string) (rota.Use, error) {
	var use rota.Use
	err := h.do(ctx, "issuer.last_used", func(Fault) error {
		if !slices.ContainsFunc(h.hashes, func(k *hash) bool { return h.name(k) == credentialID }) {
			return h.refuse("look at sessions of "+h.account, rota.ClassStop, rota.ErrNotFound)
		}
		use = rota.Use{Evidence: rota.EvidenceSampled, Ambiguous: len(h.hashes) > 1}
		if h.sessions > 0 {
			use.At, use.Detail = h.opts.Now(), fmt.Sprintf("%d sessions", h.sessions)
		}
		return nil
	})
	return use, err
}

// Login simulates a consumer logging in with the credential, and reports whether it
// succeeded.
func (h *Hashed) Login(c rota.Credential) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.login(c)
}

// Connect simulates a consumer opening a session, and reports whether it succeeded.
func (h *Hashed) Connect(c rota.Credential) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.login(c) {
		return false
	}
	h.sessions++
	return true
}

// Disconnect ends one session of the account, with whichever password it was opened.
func (h *Hashed) Disconnect(string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sessions = max(h.sessions-1, 0)
}

// Keys returns the account's passwords, all of them by name.
func (h *Hashed) Keys() []rota.Issued {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []rota.Issued
	for _, k := range h.hashes {
		list = append(list, rota.Issued{ID: h.id(k.password), Active: true})
	}
	return list
}

// Plant sets the account's newest password as an administrator would, without faults:
// the newest one is replaced, and an older one stays.
func (h *Hashed) Plant(password string) rota.Credential {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hashes = h.hashes[min(len(h.hashes), 1):]
	h.add(password)
	return rota.NewCredential(map[string]string{rota.FieldUsername: h.account, rota.FieldPassword: password})
}

// Add adds a password as an administrator would, without faults, if there's a place.
func (h *Hashed) Add(password string) (c rota.Credential, added bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.hashes) >= maxHashes {
		return rota.Credential{}, false
	}
	h.add(password)
	return rota.NewCredential(map[string]string{rota.FieldUsername: h.account, rota.FieldPassword: password}), true
}

// Resolve returns the id of the password that a list names like this.
func (h *Hashed) Resolve(name string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, k := range h.hashes {
		if h.name(k) == name {
			return h.id(k.password)
		}
	}
	return name
}

// Discard takes a password away as an administrator would, without faults.
func (h *Hashed) Discard(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hashes = slices.DeleteFunc(h.hashes, func(k *hash) bool { return h.id(k.password) == id || h.name(k) == id })
}
