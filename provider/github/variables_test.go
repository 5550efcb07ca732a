package github_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/github"
	"github.com/rota-dev/rota/provider/github/githubtest"
	"github.com/rota-dev/rota/provider/providertest"
)

// readVariables is the credential in a place's variables.
func readVariables(server *githubtest.Server, place string) (rota.Credential, bool, error) {
	values := map[string]string{}
	for _, v := range server.Variables(place) {
		values[v.Name] = v.Value
	}
	f, err := rota.ParseFieldMap(pair, nil)
	return f.Read(values), len(values) > 0, err
}

func TestTheVariablesConform(t *testing.T) {
	for place, at := range map[string]github.Place{"shop/api": shopAPI, "environment shop/api production": production, "shop": shop} {
		t.Run(place, func(t *testing.T) {
			providertest.Target(t, func(t *testing.T) providertest.TargetFixture {
				server, connection := start(t)
				target := &oneByOne{&github.Variables{Target: "ci", Connection: connection, Place: at, Fields: fields(t, pair)}, make(chan struct{}, 1)}
				return providertest.TargetFixture{
					Target: target, Inject: server.Inject(map[string]string{"deliver": http.MethodPatch + " /variables/"}), Writes: server.Writes,
					Read: func() (rota.Credential, bool, error) {
						target.lock <- struct{}{}
						defer func() { <-target.lock }()
						return readVariables(server, place)
					},
				}
			})
		})
	}
}

// oneByOne keeps readers out of a delivery: GitHub writes one variable at a time.
type oneByOne struct {
	*github.Variables
	lock chan struct{}
}

func (o *oneByOne) Deliver(ctx context.Context, r rota.DeliverRequest) error {
	o.lock <- struct{}{}
	defer func() { <-o.lock }()
	return o.Variables.Deliver(ctx, r)
}

// Whatever request goes wrong: what jobs get is whole, and the next delivery
// succeeds.
func TestAFaultAtAnyRequestLeavesWholeVariables(t *testing.T) {
	for _, fault := range []providertest.FaultKind{providertest.FailBefore, providertest.LoseReply, providertest.Repeat} {
		for _, existing := range []bool{true, false} {
			for n := 0; ; n++ {
				server, connection := start(t)
				target := &github.Variables{Connection: connection, Place: shop, Fields: fields(t, pair)}
				if existing {
					if err := deliver(t.Context(), target, key(1)); err != nil {
						t.Fatal(err)
					}
				}
				before := len(server.Requests())
				server.Nth(n, "", "/", fault)
				err := deliver(t.Context(), target, key(2))
				if n >= len(server.Requests())-before {
					break // it has no such request
				}
				name := fmt.Sprintf("request %d (%s) %s (%v)", n, server.Requests()[before+n], fault, existing)
				want := key(1)
				if err == nil {
					want = key(2)
				}
				if c, found, _ := readVariables(server, "shop"); found != (existing || err == nil) || found && !c.Equal(want) {
					t.Errorf("%s: afterwards jobs get %v (%v), the delivery's error is %v", name, c.Names(), found, err)
				}
				server.Heal()
				if err := deliver(t.Context(), target, key(2)); err != nil {
					t.Errorf("%s: the next delivery: %v", name, err)
				}
			}
		}
	}
}

func TestVariablesKeepTheirVisibility(t *testing.T) {
	server, connection := start(t)
	server.SetVariable("shop", githubtest.Variable{Name: "AWS_ACCESS_KEY_ID", Value: "old", Visibility: "all"})
	target := &github.Variables{Connection: connection, Place: shop, Fields: fields(t, pair)}
	if err := deliver(t.Context(), target, key(1)); err != nil {
		t.Fatal(err)
	}
	for _, v := range server.Variables("shop") {
		if want := map[string]string{"AWS_ACCESS_KEY_ID": "all", "AWS_SECRET_ACCESS_KEY": "private"}[v.Name]; v.Visibility != want {
			t.Errorf("%s is %s", v.Name, v.Visibility)
		}
	}
	target.Visibility = "all"
	if err := deliver(t.Context(), target, key(1)); err != nil || server.Variables("shop")[1].Visibility != "all" {
		t.Errorf("as set, it is %s (%v)", server.Variables("shop")[1].Visibility, err)
	}
}

func TestAVariableThatSomeoneChangedSinceHolds(t *testing.T) {
	server, connection := start(t)
	target := &github.Variables{Connection: connection, Place: shopAPI, Fields: fields(t, map[string]string{"USER": "username"}), NoWait: true}
	server.SetVariable("shop/api", githubtest.Variable{Name: "USER", Value: "someone's"})
	for since, want := range map[time.Time]int{time.Now(): 0, time.Now().Add(-time.Hour): 1} {
		if h, err := target.Holders(t.Context(), rota.HoldersRequest{Secret: "prod/shop", Since: since}); err != nil || len(h) != want || want == 1 && !strings.HasPrefix(h[0].Name, "variable USER of shop/api, which someone has changed since") {
			t.Errorf("since %s: %+v (%v)", since, h, err)
		}
	}
}

// GitHub's clock and Rota's may be far apart. What Rota has just written isn't taken
// for somebody else's change, which would hold it again after every delivery, and a run
// that was queued before isn't taken for one that has the new value.
func TestClocksThatAreFarApart(t *testing.T) {
	for _, ahead := range []time.Duration{-time.Hour, -3 * time.Minute, 0, 3 * time.Minute, time.Hour} {
		for _, warm := range []bool{true, false} { // whether GitHub has answered before
			t.Run(fmt.Sprintf("%s, %v", ahead, warm), func(t *testing.T) {
				server, connection := start(t)
				server.SetNow(func() time.Time { return time.Now().Add(ahead) })
				held := server.Start("shop/api", "in_progress")
				variable := &github.Variables{Target: "id", Connection: connection, Place: shopAPI, Fields: fields(t, map[string]string{"KEY_ID": rota.FieldAccessKeyID})}
				secret := secrets(t, connection, shopAPI)
				workflow := &github.Workflow{Connection: connection, Owner: "shop", Repository: "api"}
				for _, target := range []rota.Target{variable, secret} {
					if err := deliver(t.Context(), target, key(1)); err != nil {
						t.Fatal(err)
					}
				}
				if !warm {
					fresh := connect(t, server, github.Config{Token: githubtest.AdminToken})
					variable.Connection, secret.Connection, workflow.Connection = fresh, fresh, fresh
				}
				for _, r := range []rota.HolderReporter{workflow, variable, secret} {
					list, err := r.Holders(t.Context(), rota.HoldersRequest{Secret: "prod/shop", Since: time.Now()})
					if err != nil || len(list) != 1 || !strings.HasPrefix(list[0].Name, fmt.Sprintf("run %d of shop/api", held)) {
						t.Errorf("%T: %+v (%v)", r, list, err)
					}
				}
			})
		}
	}
}
