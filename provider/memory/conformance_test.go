package memory_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/provider/providertest"
	"github.com/rota-dev/rota/rotation"
)

var (
	_ rota.Lister      = (*memory.AccessKeys)(nil)
	_ rota.UseReporter = (*memory.AccessKeys)(nil)
	_ rota.Deactivator = (*memory.AccessKeys)(nil)
	_ rota.Lister      = (*memory.Alternating)(nil)
	_ rota.UseReporter = (*memory.Alternating)(nil)
	_ rota.Deactivator = (*memory.Alternating)(nil)
)

// clock is virtual time.
type clock struct{ now time.Time }

func newClock() *clock                   { return &clock{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)} }
func (c *clock) Now() time.Time          { return c.now }
func (c *clock) Advance(d time.Duration) { c.now = c.now.Add(d) }
func (c *clock) Tick()                   { c.Advance(time.Second) }

// faulty returns options with virtual time, and the hook that injects faults.
// kind is "issuer", "store" and so on.
func faulty(kind string) (memory.Options, *clock, providertest.Inject) {
	injector, clock := &memory.Injector{}, newClock()
	unavailable := &rota.Error{System: "test", Class: rota.ClassWait, Err: errors.New("unavailable")}
	options := memory.Options{Now: clock.Now, Faults: injector.Fault, Wait: func(ctx context.Context, _ time.Duration) error {
		<-ctx.Done()
		return ctx.Err()
	}}
	return options, clock, func(op string, k providertest.FaultKind) bool {
		injector.Next(kind+"."+op, map[providertest.FaultKind]memory.Fault{
			providertest.FailBefore: {Before: unavailable},
			providertest.LoseReply:  {After: unavailable},
			providertest.Repeat:     {Repeat: true},
			providertest.Hang:       {Delay: time.Hour},
		}[k])
		return true
	}
}

func TestAccessKeysKeepTheContract(t *testing.T) {
	for name, o := range map[string]memory.AccessKeysOptions{
		"consistent":            {},
		"eventually consistent": {RefusedLogins: 4, ListLag: 30 * time.Second, UseLag: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			providertest.Issuer(t, func(*testing.T) providertest.IssuerFixture {
				var clock *clock
				var inject providertest.Inject
				o := o
				o.Options, clock, inject = faulty("issuer")
				keys := memory.NewAccessKeys(o)
				t.Cleanup(func() {
					if err := keys.Invariant(); err != nil {
						t.Error(err)
					}
				})
				return providertest.IssuerFixture{
					Issuer: keys, Inject: inject, UnknownID: "AKIAUNKNOWN",
					Polling: providertest.Polling{Tick: func() { clock.Advance(10 * time.Second) }},
					Use: func(t *testing.T, c rota.Credential) {
						if !keys.Login(c) {
							t.Error("a consumer can't log in")
						}
					},
				}
			})
		})
	}
}

func TestTokensKeepTheContract(t *testing.T) {
	if _, ok := any((*memory.Tokens)(nil)).(rota.Deactivator); ok {
		t.Error("tokens can be deactivated")
	}
	providertest.Issuer(t, func(*testing.T) providertest.IssuerFixture {
		options, clock, inject := faulty("issuer")
		tokens := memory.NewTokens(memory.AccessKeysOptions{Options: options})
		return providertest.IssuerFixture{
			Issuer: tokens, Inject: inject, UnknownID: "AKIAUNKNOWN",
			Polling: providertest.Polling{Tick: clock.Tick},
			Use: func(t *testing.T, c rota.Credential) {
				if !tokens.All.Login(c) {
					t.Error("a consumer can't log in")
				}
			},
		}
	})
}

func TestSessionsKeepTheContract(t *testing.T) {
	for name, o := range map[string]memory.SessionsOptions{
		"that only expire": {}, "that can be revoked": {Revocable: true}, "that are renewed": {Revocable: true, RenewFor: 15 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			providertest.Issuer(t, func(*testing.T) providertest.IssuerFixture {
				options, clock, inject := faulty("issuer")
				o.Options, o.RefusedLogins = options, 2
				return providertest.IssuerFixture{
					Issuer: memory.NewSessions(o), Inject: inject,
					Polling: providertest.Polling{Tick: clock.Tick}, UnknownID: "ASIAUNKNOWN",
					PublicFields: []string{rota.FieldExpiration}, Expire: func(*testing.T) { clock.Advance(time.Hour) },
					Pass: func(_ *testing.T, d time.Duration) { clock.Advance(d) }, RenewFor: o.RenewFor,
				}
			})
		})
	}
}

func TestPasswordKeepsTheContract(t *testing.T) {
	providertest.Issuer(t, func(*testing.T) providertest.IssuerFixture {
		options, clock, inject := faulty("issuer")
		return providertest.IssuerFixture{
			Issuer: memory.NewPassword("app", memory.RolesOptions{Options: options, RefusedLogins: 2, Accept: noSpace}),
			Inject: inject, Polling: providertest.Polling{Tick: clock.Tick}, UnknownID: "nobody", Rejected: withSpace,
		}
	})
}

func TestAlternatingKeepsTheContract(t *testing.T) {
	providertest.Issuer(t, func(*testing.T) providertest.IssuerFixture {
		options, clock, inject := faulty("issuer")
		roles := memory.NewAlternating("app_a", "app_b", memory.RolesOptions{Options: options, RefusedLogins: 2, Accept: noSpace})
		return providertest.IssuerFixture{
			Issuer: roles, Inject: inject, Polling: providertest.Polling{Tick: clock.Tick}, UnknownID: "nobody", Rejected: withSpace,
			Use: func(t *testing.T, c rota.Credential) {
				if !roles.Connect(c) {
					t.Error("a consumer can't connect")
				}
			},
		}
	})
}

func TestReplacingKeepsTheContract(t *testing.T) {
	providertest.Issuer(t, func(*testing.T) providertest.IssuerFixture {
		options, clock, inject := faulty("issuer")
		tokens := memory.NewReplacing(memory.ReplacingOptions{Options: options, RefusedLogins: 2, ListLag: 10 * time.Second})
		return providertest.IssuerFixture{
			Issuer: tokens, Inject: inject, Polling: providertest.Polling{Tick: clock.Tick}, UnknownID: "TUNKNOWN",
			First: tokens.Plant,
			Use: func(t *testing.T, c rota.Credential) {
				if !tokens.Login(c) {
					t.Error("a consumer can't log in")
				}
			},
		}
	})
}

func TestKeepingKeepsTheContract(t *testing.T) {
	providertest.Issuer(t, func(*testing.T) providertest.IssuerFixture {
		options, clock, inject := faulty("issuer")
		return providertest.IssuerFixture{Issuer: memory.NewKeeping("app", memory.KeepingOptions{Options: options}), Inject: inject, Polling: providertest.Polling{Tick: clock.Tick}}
	})
}

func TestHashedKeepsTheContract(t *testing.T) {
	providertest.Issuer(t, func(*testing.T) providertest.IssuerFixture {
		options, clock, inject := faulty("issuer")
		account := memory.NewHashed("app", memory.RolesOptions{Options: options, RefusedLogins: 2, Accept: noSpace})
		return providertest.IssuerFixture{
			Issuer: account, Inject: inject, Polling: providertest.Polling{Tick: clock.Tick}, UnknownID: "app:nothing", Rejected: withSpace,
			Use: func(t *testing.T, c rota.Credential) {
				if !account.Connect(c) {
					t.Error("a consumer can't connect")
				}
			},
		}
	})
}

func TestHashedNamesOnlyWhatThisProcessHasSeen(t *testing.T) {
	account := memory.NewHashed("app", memory.RolesOptions{})
	c := account.Plant("by hand")
	names := func() string {
		list, err := account.List(t.Context())
		if err != nil || len(list) != 1 {
			t.Fatalf("%v, %v", list, err)
		}
		return list[0].ID
	}
	if got := names(); !strings.HasPrefix(got, "app:unknown-") {
		t.Errorf("before anyone has shown it the password, the list says %s", got)
	}
	id := account.CredentialID(c)
	if got := names(); got != id {
		t.Errorf("after that, it says %s instead of %s", got, id)
	}
	account.Forget()
	if got := names(); got == id {
		t.Errorf("a new process says %s", got)
	}
}

func noSpace(password string) error {
	if strings.Contains(password, " ") {
		return errors.New("password " + password + " has a space")
	}
	return nil
}

func withSpace(c rota.Credential) rota.Credential {
	fields := c.Fields()
	fields[rota.FieldPassword] = "with a space " + fields[rota.FieldPassword]
	return rota.NewCredential(fields)
}

func TestStoreKeepsTheContract(t *testing.T) {
	providertest.Store(t, func(t *testing.T) providertest.StoreFixture {
		options, clock, inject := faulty("store")
		s := memory.NewStore(options)
		t.Cleanup(func() {
			if err := s.Invariant(); err != nil {
				t.Error(err)
			}
		})
		return providertest.StoreFixture{Store: s, Inject: inject, Polling: providertest.Polling{Tick: clock.Tick}, Writes: 1000}
	})
}

func TestJournalKeepsTheContract(t *testing.T) {
	providertest.Journal(t, func(*testing.T) providertest.JournalFixture {
		options, clock, inject := faulty("journal")
		j := memory.NewJournal(options)
		return providertest.JournalFixture{Journal: j, Inject: inject, Advance: clock.Advance,
			Polling: providertest.Polling{Tick: clock.Tick},
			Entries: func(*testing.T) []rotation.Entry { return j.Entries() }}
	})
}

func TestTargetKeepsTheContract(t *testing.T) {
	providertest.Target(t, func(*testing.T) providertest.TargetFixture {
		options, clock, inject := faulty("target")
		target := memory.NewTarget("copy", options)
		return providertest.TargetFixture{Target: target, Inject: inject, Polling: providertest.Polling{Tick: clock.Tick},
			Read: func() (rota.Credential, bool, error) {
				r, found := target.Current()
				return r.Credential, found, nil
			},
			Writes: func() int { return len(target.History()) },
		}
	})
}

func TestReloaderKeepsTheContract(t *testing.T) {
	providertest.Reloader(t, func(*testing.T) providertest.ReloaderFixture {
		options, clock, inject := faulty("reloader")
		running, sick := "", false
		r := memory.NewReloader("app", func(r rota.ReloadRequest) error {
			if sick {
				return errors.New("pods are not ready")
			}
			running = r.Version
			return nil
		}, options)
		return providertest.ReloaderFixture{Reloader: r, Inject: inject, Polling: providertest.Polling{Tick: clock.Tick},
			Running: func() (string, error) { return running, nil }, Sicken: func() { sick = true }}
	})
}

func TestNotifierKeepsTheContract(t *testing.T) {
	providertest.Notifier(t, func(*testing.T) providertest.NotifierFixture {
		options, clock, inject := faulty("notifier")
		n := memory.NewNotifier("chat", options)
		return providertest.NotifierFixture{Notifier: n, Inject: inject, Polling: providertest.Polling{Tick: clock.Tick},
			Heard: func(e rota.Event) (bool, error) {
				return slices.ContainsFunc(n.Events(), func(heard rota.Event) bool { return cmp.Equal(heard, e) }), nil
			}}
	})
}
