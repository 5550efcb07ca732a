package config

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// cabinets are fake systems that can identify themselves.
type cabinets struct {
	mu    sync.Mutex
	asked map[string]int                                   // number of calls, by address
	says  map[string]func(context.Context) (string, error) // by address
}

func (c *cabinets) say(address, identity string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.says[address] = func(context.Context) (string, error) { return identity, nil }
}

func (c *cabinets) fail(address string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.says[address] = func(context.Context) (string, error) { return "", err }
}

// hang makes a cabinet never answer.
func (c *cabinets) hang(address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.says[address] = func(ctx context.Context) (string, error) { <-ctx.Done(); return "", ctx.Err() }
}

func (c *cabinets) count(address string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked[address]
}

// drawerConfig is the configuration of an issuer. Only one secret can change
// each drawer.
type drawerConfig struct {
	At     provider.Pos  `json:"-"`
	Drawer provider.Text `json:"drawer"`
}

func (c *drawerConfig) Traits() rota.Traits     { return rota.Traits{Kind: "drawer", Limit: 1} }
func (c *drawerConfig) Fields() provider.Fields { return provider.Fields{} }
func (c *drawerConfig) Issuer(b *provider.Build) (rota.Issuer, error) {
	provider.Open[*cabinet](b, b.Connection)
	return memory.NewAccessKeys(memory.AccessKeysOptions{}), b.Err()
}

func (c *drawerConfig) Claims(k *provider.Known) []provider.Claim {
	claim, _ := k.Claim("drawer", c.Drawer)
	if server, drawer, several := strings.Cut(claim.Name, "/"); several {
		claim.Name, claim.Scope, claim.Server = drawer, "server "+server, server
	}
	return []provider.Claim{claim}
}

// cabinetConfig is the configuration of a connection.
type cabinetConfig struct {
	At      provider.Pos  `json:"-"`
	Address provider.Text `json:"address"`
	all     *cabinets
}

func (c *cabinetConfig) Open(b *provider.Build) (any, error) {
	return &cabinet{all: c.all, address: b.Text(c.Address)}, b.Err()
}

type cabinet struct {
	all     *cabinets
	address string
}

func (c *cabinet) Identity(ctx context.Context) (string, error) {
	return c.ServerIdentity(ctx, c.address)
}

func (c *cabinet) ServerIdentity(ctx context.Context, server string) (string, error) {
	c.all.mu.Lock()
	c.all.asked[server]++
	says := c.all.says[server]
	c.all.mu.Unlock()
	return says(ctx)
}

// wireCabinets wires a file with a secret for each drawer, "name: address
// drawer".
func wireCabinets(t *testing.T, all *cabinets, secrets ...string) *Wired {
	t.Helper()
	catalog := MustCatalog(provider.Provider{
		Name: "cabinet",
		Connections: []provider.Connection{{Kind: provider.Kind{Key: "cabinet", Summary: "A cabinet."},
			New: func() provider.ConnectionConfig { return &cabinetConfig{all: all} }}},
		Issuers: []provider.Issuer{{Kind: provider.Kind{Key: "drawer", Summary: "A drawer."}, Connection: "cabinet",
			New: func() provider.IssuerConfig { return new(drawerConfig) }}},
	})
	text := "connections:\n"
	for i, s := range secrets {
		text += fmt.Sprintf("  c%d: {cabinet: {address: %s}}\n", i, strings.Fields(s)[1])
	}
	text += "secrets:\n"
	for i, s := range secrets {
		text += fmt.Sprintf("  - {name: %s, issuer: {connection: c%d, drawer: {drawer: %s}}}\n", strings.TrimSuffix(strings.Fields(s)[0], ":"), i, strings.Fields(s)[2])
	}
	f, err := catalog.Parse("rota.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	w, err := f.Wire(t.Context(), goodWorld().environment())
	if err != nil {
		t.Fatal(err)
	}
	if len(w.Broken) > 0 {
		t.Fatal(w.Broken)
	}
	return w
}

// found lists a secret's rivals, with a question mark after uncertain ones.
func found(t *testing.T, w *Wired, secret string) string {
	t.Helper()
	if w.ByName[secret].Rivals == nil {
		return "none possible"
	}
	return told(w.ByName[secret].Rivals(t.Context()))
}

func told(r rotation.Rivals) string {
	var all []string
	for _, x := range r.Found {
		all = append(all, x.Secret)
	}
	for _, x := range r.Unknown {
		all = append(all, x.Secret+"?")
	}
	return strings.Join(all, " ")
}

func newCabinets() *cabinets {
	return &cabinets{asked: map[string]int{}, says: map[string]func(context.Context) (string, error){}}
}

func TestSecretsThatReachTheSameThingByTwoConnectionsAreFound(t *testing.T) {
	all := newCabinets()
	all.say("here", "one")
	all.say("there", "one")
	all.say("elsewhere", "two")
	all.say("alone", "three")
	w := wireCabinets(t, all, "a: here top", "b: there top", "c: elsewhere top", "d: alone bottom", "e: elsewhere bottom2")
	defer w.Close()
	for secret, want := range map[string]string{"a": "b", "b": "a", "c": "", "d": "none possible", "e": "none possible"} {
		for range 2 {
			if got := found(t, w, secret); got != want {
				t.Errorf("%s: %q, want %q", secret, got, want)
			}
		}
	}
	for address, want := range map[string]int{"here": 1, "there": 1, "elsewhere": 1, "alone": 0} {
		if n := all.count(address); n != want {
			t.Errorf("%s was asked %d times, want %d", address, n, want)
		}
	}
	r := w.ByName["a"].Rivals(t.Context()).Found[0]
	const want = `drawer "top" (rota.yaml:8) is also used by secret b (rota.yaml:9): connections c0 and c1 reach the same account or server`
	if r.Finding.Detail != want {
		t.Errorf("check says\n%s, want\n%s", r.Finding.Detail, want)
	}
	if r.Reason != `another secret changes drawer "top" (rota.yaml:8) too` || strings.Contains(rota.Hint(r.Remedies), "rota.yaml:9") {
		t.Errorf("whoever may not see the other secret reads\n%s: %s", r.Reason, rota.Hint(r.Remedies))
	}
	if hint := rota.Hint(r.Finding.Remedies); hint != "keep one secret for it: remove a (rota.yaml:8) or b (rota.yaml:9)" {
		t.Errorf("the remedy is %q", hint)
	}
}

// Where a connection reaches several servers, what the file calls them is taken until
// they say who they are.
func TestServersOfAConnectionAreAsked(t *testing.T) {
	all := newCabinets()
	all.say("room", "")
	all.say("here", "one")
	all.say("there", "one")
	all.say("elsewhere", "two")
	all.fail("down", errors.New("no answer"))
	w := wireCabinets(t, all, "a: room here/top", "b: room there/top", "c: room elsewhere/top", "d: room down/top", "e: room down/top2")
	defer w.Close()
	for secret, want := range map[string]string{"a": "b", "b": "a", "c": "", "d": "", "e": "none possible"} {
		if got := found(t, w, secret); got != want {
			t.Errorf("%s: %q, want %q", secret, got, want)
		}
	}
	if n := all.count("room"); n != 0 {
		t.Errorf("the connection as a whole was asked %d times", n)
	}
}

func TestASystemThatDoesNotSayWhatItIsDelaysATurnOnceAMinute(t *testing.T) {
	for name, c := range map[string]struct {
		fault func(*cabinets)
		delay time.Duration
	}{
		"down":  {func(c *cabinets) { c.fail("there", errors.New("connection refused")) }, 0},
		"hangs": {func(c *cabinets) { c.hang("there") }, identifyWithin},
		"mute":  {func(c *cabinets) { c.say("there", "") }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				all := newCabinets()
				all.say("here", "one")
				c.fault(all)
				w := wireCabinets(t, all, "a: here top", "b: there top")
				defer w.Close()
				for i, delay := range []time.Duration{c.delay, 0, 0} {
					begun := time.Now()
					if got := found(t, w, "a"); got != "b?" {
						t.Errorf("%d: %q", i, got)
					}
					if took := time.Since(begun); took != delay {
						t.Errorf("%d: it took %s, want %s", i, took, delay)
					}
				}
				if n := all.count("there"); n != 1 {
					t.Errorf("it was asked %d times within a minute", n)
				}
				all.say("there", "one")
				time.Sleep(identifyAgain)
				if got := found(t, w, "a"); got != "b" {
					t.Errorf("once it answers: %q", got)
				}
				if got := found(t, w, "b"); got != "a" {
					t.Errorf("and the other way round: %q", got)
				}
			})
		})
	}
}

func TestAnswersGivenFarApartAreComparedAfresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newCabinets()
		all.say("here", "one, first start")
		all.fail("there", errors.New("no route"))
		w := wireCabinets(t, all, "a: here top", "b: there top")
		defer w.Close()
		if got := found(t, w, "a"); got != "b?" {
			t.Errorf("at first: %q", got)
		}
		time.Sleep(time.Hour)
		all.say("here", "one, second start")
		all.say("there", "one, second start")
		if got := found(t, w, "b"); got != "a" {
			t.Errorf("after a restart: %q", got)
		}
		if here, there := all.count("here"), all.count("there"); here != 2 || there != 2 {
			t.Errorf("asked %d and %d times", here, there)
		}
	})
}

func TestClosingAConfigurationEndsItsQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newCabinets()
		all.say("here", "one")
		all.hang("there")
		w := wireCabinets(t, all, "a: here top", "b: there top")
		done := make(chan string)
		go func() { done <- told(w.ByName["a"].Rivals(t.Context())) }()
		synctest.Wait()
		begun := time.Now()
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if got := <-done; got != "b?" || time.Since(begun) > 0 {
			t.Errorf("%q after %s", got, time.Since(begun))
		}
		if got := found(t, w, "b"); got != "a?" || all.count("there") != 1 {
			t.Errorf("%q, and it was asked %d times", got, all.count("there"))
		}
	})
}
