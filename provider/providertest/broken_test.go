package providertest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/provider/providertest"
	"github.com/rota-dev/rota/rotation"
)

// broken are implementations that each break one promise, with the case that
// must catch it. If one passes, its suite has a hole.
var broken = []struct {
	name  string
	found string // the case that fails
	suite func(t *testing.T)
}{
	{"delete fails where the key is gone", "a credential goes through", issuer(func(i *brokenIssuer) {
		i.delete = func(ctx context.Context, r rota.RetireRequest) error {
			if !exists(i.AccessKeys, r.CredentialID) {
				return rota.ErrNotFound
			}
			return i.AccessKeys.Delete(ctx, r)
		}
	})},
	{"delete takes an active key", "an active credential isn't deleted", issuer(func(i *brokenIssuer) {
		i.delete = func(ctx context.Context, r rota.RetireRequest) error {
			if exists(i.AccessKeys, r.CredentialID) {
				_ = i.AccessKeys.Deactivate(ctx, r)
			}
			return i.AccessKeys.Delete(ctx, r)
		}
	})},
	{"deactivate does nothing", "a credential goes through", issuer(func(i *brokenIssuer) {
		i.deactivate = func(context.Context, rota.RetireRequest) error { return nil }
	})},
	{"deactivate of what is gone is no error", "a credential goes through", issuer(func(i *brokenIssuer) {
		i.deactivate = func(ctx context.Context, r rota.RetireRequest) error {
			if !exists(i.AccessKeys, r.CredentialID) {
				return nil
			}
			return i.AccessKeys.Deactivate(ctx, r)
		}
	})},
	{"test takes a wrong secret", "a wrong credential is refused", issuer(func(i *brokenIssuer) {
		i.test = func(_ context.Context, r rota.TestRequest) error {
			if i.Use(i.CredentialID(r.Credential)) {
				return nil
			}
			return rota.ErrRefused
		}
	})},
	{"an error shows the secret", "a wrong credential is refused", issuer(func(i *brokenIssuer) {
		i.test = func(ctx context.Context, r rota.TestRequest) error {
			if err := i.AccessKeys.Test(ctx, r); err != nil {
				return fmt.Errorf("login with %s: %w", r.Credential.Field(rota.FieldSecretAccessKey), err)
			}
			return nil
		}
	})},
	{"an issuer that can't be reached refuses", "fails before it takes effect", issuer(func(i *brokenIssuer) {
		i.test = func(ctx context.Context, r rota.TestRequest) error {
			if err := i.AccessKeys.Test(ctx, r); err != nil {
				return rota.ErrRefused
			}
			return nil
		}
	})},
	{"create is retried", "fails before it takes effect", issuer(func(i *brokenIssuer) {
		i.create = func(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
			c, err := i.AccessKeys.Create(ctx, r)
			if err != nil {
				return i.AccessKeys.Create(ctx, r)
			}
			return c, nil
		}
	})},
	{"calls go on without their context", "calls return when their context ends", issuer(func(i *brokenIssuer) {
		i.deactivate = func(_ context.Context, r rota.RetireRequest) error {
			return i.AccessKeys.Deactivate(context.Background(), r)
		}
	})},

	{"a replaced password counts as in force", "reported as in force", func(t *testing.T) {
		providertest.Issuer(t, func(*testing.T) providertest.IssuerFixture {
			options, advance, _ := parts("issuer")
			p := &credulous{memory.NewPassword("app", memory.RolesOptions{Options: options}), map[string]bool{}}
			return providertest.IssuerFixture{Issuer: p, Polling: patient(advance)}
		})
	}},

	{"put with other content overwrites", "an id can only be put again with the same credential", store(func(s *brokenStore) {
		s.put = func(ctx context.Context, r rota.PutRequest) error {
			if err := s.Store.Put(ctx, r); !errors.Is(err, rota.ErrConflict) {
				return err
			}
			return nil
		}
	})},
	{"put promotes", "put doesn't promote", store(func(s *brokenStore) {
		s.put = func(ctx context.Context, r rota.PutRequest) error {
			r.Labels = append(r.Labels, rota.LabelCurrent)
			return s.Store.Put(ctx, r)
		}
	})},
	{"move looks at no holder", "a move is a compare-and-swap", store(func(s *brokenStore) {
		s.move = func(ctx context.Context, r rota.MoveRequest) error {
			r.From, _, _ = s.Read(r.Label)
			return s.Store.Move(ctx, r)
		}
	})},
	{"move to the holder is an error", "a move is a compare-and-swap", store(func(s *brokenStore) {
		s.move = func(ctx context.Context, r rota.MoveRequest) error {
			if id, _, _ := s.Read(r.Label); id != r.From {
				return rota.ErrConflict
			}
			return s.Store.Move(ctx, r)
		}
	})},
	{"pending stays behind", "pending leaves the version that was current", store(func(s *brokenStore) {
		s.move = func(ctx context.Context, r rota.MoveRequest) error {
			before, _, _ := s.Read(rota.LabelPending)
			err := s.Store.Move(ctx, r)
			if err == nil && r.Label == rota.LabelCurrent && before != "" && before == r.From {
				_ = s.Store.Move(ctx, rota.MoveRequest{Label: rota.LabelPending, To: before})
			}
			return err
		}
	})},
	{"previous stays behind", "moving current moves previous", store(func(s *brokenStore) {
		s.move = func(ctx context.Context, r rota.MoveRequest) error {
			before, _, _ := s.Read(rota.LabelPrevious)
			err := s.Store.Move(ctx, r)
			if after, _, _ := s.Read(rota.LabelPrevious); err == nil && r.Label == rota.LabelCurrent && before != "" {
				_ = s.Store.Move(ctx, rota.MoveRequest{Label: rota.LabelPrevious, From: after, To: before})
			}
			return err
		}
	})},
	{"a version that never was has a value", "a secret that doesn't exist", store(func(s *brokenStore) {
		s.get = func(ctx context.Context, r rota.GetRequest) (rota.Credential, error) {
			c, err := s.Store.Get(ctx, r)
			if errors.Is(err, rota.ErrNotFound) {
				return rota.Credential{}, nil
			}
			return c, err
		}
	})},

	{"a lost lease saves", "a lost lease saves nothing", journal(func(j *brokenJournal) {
		j.save = func(ctx context.Context, r rotation.SaveRequest) error {
			if err := j.Journal.Save(ctx, r); !errors.Is(err, rota.ErrFenced) {
				return err
			}
			return nil
		}
	})},
	{"fences come again", "fences only increase", journal(func(j *brokenJournal) {
		j.acquire = func(ctx context.Context, r rotation.AcquireRequest) (rotation.Lease, error) {
			l, err := j.Journal.Acquire(ctx, r)
			l.Fence = 1
			return l, err
		}
	})},
	{"progress is kept in part", "every field of progress is kept", journal(func(j *brokenJournal) {
		j.save = func(ctx context.Context, r rotation.SaveRequest) error {
			r.Progress.Intents = nil
			return j.Journal.Save(ctx, r)
		}
	})},
	{"a last save keeps the lease", "a final save releases the lease", journal(func(j *brokenJournal) {
		j.save = func(ctx context.Context, r rotation.SaveRequest) error {
			r.Release = false
			return j.Journal.Save(ctx, r)
		}
	})},
	{"neighbors are not looked at", "only one of several secrets kept apart begins", journal(func(j *brokenJournal) {
		j.save = func(ctx context.Context, r rotation.SaveRequest) error {
			r.Peers = nil
			return j.Journal.Save(ctx, r)
		}
	})},
	{"entries get lost", "entries are kept in order", journal(func(j *brokenJournal) {
		j.save = func(ctx context.Context, r rotation.SaveRequest) error {
			r.Entries = r.Entries[:min(1, len(r.Entries))]
			return j.Journal.Save(ctx, r)
		}
	})},

	{"a target that writes nothing", "a delivered credential can be read", target(func(context.Context, *memory.Target, rota.DeliverRequest) error { return nil })},
	{"a target that keeps the first", "an older credential can be delivered again", target(func(ctx context.Context, x *memory.Target, r rota.DeliverRequest) error {
		for _, old := range x.History() {
			if old.Version == r.Version {
				return nil
			}
		}
		return x.Deliver(ctx, r)
	})},
	{"a target whose error shows the secret", "fails before it takes effect", target(func(ctx context.Context, x *memory.Target, r rota.DeliverRequest) error {
		if err := x.Deliver(ctx, r); err != nil {
			return fmt.Errorf("PUT %s: %w", r.Credential.Field(rota.FieldSecretAccessKey), err)
		}
		return nil
	})},
	{"a check passes a wrong credential", "a wrong credential is refused", checkOf(func(u *user, c rota.Credential) error {
		if u.down {
			return errors.New("unavailable")
		}
		return nil
	})},
	{"a check's error shows the value", "a wrong credential is refused", checkOf(func(u *user, c rota.Credential) error {
		if err := u.logIn(c); err != nil {
			return fmt.Errorf("login with %s: %w", c.Field(rota.FieldPassword), err)
		}
		return nil
	})},
	{"a check that can't reach its system refuses", "an outage isn't a refusal", checkOf(func(u *user, c rota.Credential) error {
		if u.logIn(c) != nil {
			return rota.ErrRefused
		}
		return nil
	})},
}

// user is an outside system with one login.
type user struct {
	mu   sync.Mutex
	down bool
}

func (u *user) logIn(c rota.Credential) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.down:
		u.down = false
		return errors.New("unavailable")
	case c.Field(rota.FieldPassword) != "right-password":
		return rota.ErrRefused
	}
	return nil
}

type brokenCheck struct {
	user  *user
	check func(*user, rota.Credential) error
}

func (c brokenCheck) Name() string { return "login" }

func (c brokenCheck) Check(ctx context.Context, credential rota.Credential) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return c.check(c.user, credential)
}

func checkOf(f func(*user, rota.Credential) error) func(*testing.T) {
	return func(t *testing.T) {
		providertest.Check(t, func(*testing.T) providertest.CheckFixture {
			u := &user{}
			password := func(value string) rota.Credential {
				return rota.NewCredential(map[string]string{rota.FieldPassword: value})
			}
			return providertest.CheckFixture{
				Check: brokenCheck{u, f}, Polling: patient(func(time.Duration) {}), Good: password("right-password"), Wrong: password("wr0ng-password"),
				Inject: func(_ string, kind providertest.FaultKind) bool {
					u.mu.Lock()
					defer u.mu.Unlock()
					u.down = kind == providertest.FailBefore
					return u.down
				},
			}
		})
	}
}

func TestASoundCheckPassesTheSuite(t *testing.T) { checkOf((*user).logIn)(t) }

// TestTheSuitesFindWhatIsBroken runs this test binary again for each broken
// implementation, because a suite that finds a problem fails its test.
func TestTheSuitesFindWhatIsBroken(t *testing.T) {
	const variable = "ROTA_TEST_BROKEN"
	if name := os.Getenv(variable); name != "" {
		for _, b := range broken {
			if b.name == name {
				b.suite(t)
			}
		}
		return
	}
	for _, b := range broken {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestTheSuitesFindWhatIsBroken$", "-test.count=1", "-test.timeout=2m")
			cmd.Env = append(os.Environ(), variable+"="+b.name)
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatal("the suite passes it")
			}
			wanted := strings.ReplaceAll(b.found, " ", "_")
			for line := range strings.Lines(string(out)) {
				if strings.Contains(line, "--- FAIL") && strings.Contains(line, wanted) {
					return
				}
			}
			t.Errorf("the case %q did not fail:\n%s", b.found, out)
		})
	}
}

// parts returns options with virtual time and faults.
func parts(kind string) (memory.Options, func(time.Duration), providertest.Inject) {
	now, injector := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), &memory.Injector{}
	unavailable := errors.New("unavailable")
	return memory.Options{Now: func() time.Time { return now }, Faults: injector.Fault}, func(d time.Duration) { now = now.Add(d) },
		func(op string, k providertest.FaultKind) bool {
			f, ok := map[providertest.FaultKind]memory.Fault{providertest.FailBefore: {Before: unavailable}, providertest.LoseReply: {After: unavailable}}[k]
			if ok {
				injector.Next(kind+"."+op, f)
			}
			return ok
		}
}

// patient polls on virtual time, so that waiting for a broken implementation
// costs nothing.
func patient(advance func(time.Duration)) providertest.Polling {
	return providertest.Polling{Tick: func() { advance(time.Second) }}
}

type brokenIssuer struct {
	*memory.AccessKeys
	create     func(context.Context, rota.CreateRequest) (rota.Credential, error)
	test       func(context.Context, rota.TestRequest) error
	deactivate func(context.Context, rota.RetireRequest) error
	delete     func(context.Context, rota.RetireRequest) error
}

func (i *brokenIssuer) Create(ctx context.Context, r rota.CreateRequest) (rota.Credential, error) {
	return i.create(ctx, r)
}
func (i *brokenIssuer) Test(ctx context.Context, r rota.TestRequest) error { return i.test(ctx, r) }
func (i *brokenIssuer) Deactivate(ctx context.Context, r rota.RetireRequest) error {
	return i.deactivate(ctx, r)
}
func (i *brokenIssuer) Delete(ctx context.Context, r rota.RetireRequest) error {
	return i.delete(ctx, r)
}

// credulous takes every password that it ever had for the one in force.
type credulous struct {
	*memory.Password
	had map[string]bool
}

func (c *credulous) Set(ctx context.Context, r rota.SetRequest) error {
	c.had[r.Credential.Field(rota.FieldPassword)] = true
	return c.Password.Set(ctx, r)
}

func (c *credulous) InForce(_ context.Context, x rota.Credential) (inForce, known bool, err error) {
	return c.had[x.Field(rota.FieldPassword)], true, nil
}

func exists(a *memory.AccessKeys, id string) bool {
	for _, k := range a.Keys() {
		if k.ID == id {
			return true
		}
	}
	return false
}

func issuer(damage func(*brokenIssuer)) func(*testing.T) {
	return func(t *testing.T) {
		providertest.Issuer(t, func(*testing.T) providertest.IssuerFixture {
			options, advance, inject := parts("issuer")
			keys := memory.NewAccessKeys(memory.AccessKeysOptions{Options: options})
			i := &brokenIssuer{keys, keys.Create, keys.Test, keys.Deactivate, keys.Delete}
			damage(i)
			return providertest.IssuerFixture{Issuer: i, Polling: patient(advance), Inject: inject}
		})
	}
}

type brokenStore struct {
	*memory.Store
	get  func(context.Context, rota.GetRequest) (rota.Credential, error)
	put  func(context.Context, rota.PutRequest) error
	move func(context.Context, rota.MoveRequest) error
}

func (s *brokenStore) Get(ctx context.Context, r rota.GetRequest) (rota.Credential, error) {
	return s.get(ctx, r)
}
func (s *brokenStore) Put(ctx context.Context, r rota.PutRequest) error   { return s.put(ctx, r) }
func (s *brokenStore) Move(ctx context.Context, r rota.MoveRequest) error { return s.move(ctx, r) }

func store(damage func(*brokenStore)) func(*testing.T) {
	return func(t *testing.T) {
		providertest.Store(t, func(*testing.T) providertest.StoreFixture {
			options, advance, inject := parts("store")
			m := memory.NewStore(options)
			s := &brokenStore{m, m.Get, m.Put, m.Move}
			damage(s)
			return providertest.StoreFixture{Store: s, Polling: patient(advance), Inject: inject}
		})
	}
}

type brokenJournal struct {
	*memory.Journal
	acquire func(context.Context, rotation.AcquireRequest) (rotation.Lease, error)
	save    func(context.Context, rotation.SaveRequest) error
}

func (j *brokenJournal) Acquire(ctx context.Context, r rotation.AcquireRequest) (rotation.Lease, error) {
	return j.acquire(ctx, r)
}
func (j *brokenJournal) Save(ctx context.Context, r rotation.SaveRequest) error {
	return j.save(ctx, r)
}

func journal(damage func(*brokenJournal)) func(*testing.T) {
	return func(t *testing.T) {
		providertest.Journal(t, func(*testing.T) providertest.JournalFixture {
			options, advance, inject := parts("journal")
			m := memory.NewJournal(options)
			j := &brokenJournal{m, m.Acquire, m.Save}
			damage(j)
			return providertest.JournalFixture{Journal: j, Polling: patient(advance), Inject: inject, Advance: advance,
				Entries: func(*testing.T) []rotation.Entry { return m.Entries() }}
		})
	}
}

type brokenTarget struct {
	*memory.Target
	deliver func(context.Context, *memory.Target, rota.DeliverRequest) error
}

func (x brokenTarget) Deliver(ctx context.Context, r rota.DeliverRequest) error {
	return x.deliver(ctx, x.Target, r)
}

func target(deliver func(context.Context, *memory.Target, rota.DeliverRequest) error) func(*testing.T) {
	return func(t *testing.T) {
		providertest.Target(t, func(*testing.T) providertest.TargetFixture {
			options, advance, inject := parts("target")
			m := memory.NewTarget("copy", options)
			return providertest.TargetFixture{Target: brokenTarget{m, deliver}, Polling: patient(advance), Inject: inject,
				Read: func() (rota.Credential, bool, error) {
					r, found := m.Current()
					return r.Credential, found, nil
				}}
		})
	}
}
