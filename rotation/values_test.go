package rotation_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// gossip is a system that quotes the credential it was given when it fails.
type gossip struct {
	*bench
	fails  string // the call that does
	quoted []string
}

func (g *gossip) quote(call string, c rota.Credential) error {
	if call != g.fails {
		return nil
	}
	value := c.Field(rota.FieldPassword) + c.Field(rota.FieldSecretAccessKey)
	g.quoted = append(g.quoted, value)
	return &rota.Error{Class: rota.ClassStop, Err: fmt.Errorf("can't take %s", value)}
}

type gossipIssuer struct {
	rota.Issuer
	*gossip
}

func (i gossipIssuer) Set(ctx context.Context, r rota.SetRequest) error {
	return errors.Join(i.quote("set", r.Credential), i.Issuer.Set(ctx, r))
}

func (i gossipIssuer) Test(ctx context.Context, r rota.TestRequest) error {
	return errors.Join(i.quote("test", r.Credential), i.Issuer.Test(ctx, r))
}

type gossipStore struct {
	*memory.Store
	*gossip
}

func (s gossipStore) Put(ctx context.Context, r rota.PutRequest) error {
	if err := s.quote("put", r.Credential); err != nil {
		return err
	}
	return s.Store.Put(ctx, r)
}

type gossipTarget struct {
	*memory.Target
	*gossip
}

func (t gossipTarget) Accept(c rota.Credential) error { return t.quote("accept", c) }

func (t gossipTarget) Deliver(_ context.Context, r rota.DeliverRequest) error {
	return t.quote("deliver", r.Credential)
}

// Whichever system quotes a credential in its error: the value is in nothing that
// Rota says or writes down.
func TestNoErrorQuotesAValue(t *testing.T) {
	for _, kind := range []string{"a key", "a password"} {
		for _, call := range []string{"set", "test", "put", "deliver", "accept", "check"} {
			for _, handedIn := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %s, handed in: %t", kind, call, handedIn), func(t *testing.T) {
					b := newBench(t)
					g := &gossip{bench: b, fails: call}
					given := b.keys.Plant()
					if kind == "a password" {
						p := memory.NewPassword("app", memory.RolesOptions{})
						given = p.Plant("app", "given and in use")
						b.secret.Issuer = gossipIssuer{p, g}
					} else {
						b.secret.Issuer = gossipIssuer{b.keys, g}
					}
					b.secret.Store = gossipStore{b.store, g}
					b.secret.Targets = []rota.Target{gossipTarget{b.target, g}}
					b.secret.Checks = []rota.Check{memory.NewCheck("query", func(c rota.Credential) error { return g.quote("check", c) }, memory.Options{})}
					var said []string
					b.rotator.Report = func(r rotation.Report) {
						if r.Err != nil {
							said = append(said, r.Err.Error())
						}
					}
					act := func(f func() (rotation.Result, error)) {
						r, err := f()
						text, _ := json.Marshal(r)
						said = append(said, fmt.Sprint(err), string(text))
					}
					if handedIn {
						act(func() (rotation.Result, error) {
							return b.rotator.Adopt(t.Context(), b.secret, rotation.AdoptOptions{Credential: given})
						})
					}
					for range 3 {
						act(func() (rotation.Result, error) { return b.rotator.Advance(t.Context(), b.secret, atOnce) })
						b.days(1)
					}
					progress, err := json.Marshal(b.progress(t))
					if err != nil {
						t.Fatal(err)
					}
					said = append(said, string(progress), fmt.Sprint(b.journal.Entries()), fmt.Sprint(b.notifier.Events()))
					for _, value := range g.quoted {
						for _, text := range said {
							if strings.Contains(text, value) {
								t.Errorf("it says %s", text)
							}
						}
					}
					if len(g.quoted) == 0 && kind == "a password" {
						t.Error("nothing was quoted")
					}
				})
			}
		}
	}
}
