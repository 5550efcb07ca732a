package rotation_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// maker is an issuer that notes what it's asked to create.
type maker struct {
	*memory.Password
	traits rota.Traits
	asked  []rota.CreateRequest
	fault  error
}

func (m *maker) Traits() rota.Traits { return m.traits }

func (m *maker) Create(_ context.Context, r rota.CreateRequest) (rota.Credential, error) {
	m.asked = append(m.asked, r)
	return rota.NewCredential(map[string]string{rota.FieldUsername: "app", rota.FieldPassword: "made"}), m.fault
}

// Before a rotation, and in rota check, targets are asked about a value like the
// next one: the current one where nobody can make another just for that.
func TestTargetsAreAskedAboutAValueLikeTheNext(t *testing.T) {
	for name, test := range map[string]struct {
		traits rota.Traits
		empty  bool // the store holds nothing
		fault  error
		asked  string // the password that the target was asked about
		made   int
		given  bool // the issuer was given the current one
	}{
		"Rota chooses":                           {traits: rota.Traits{Limit: 1}, asked: "made", made: 1},
		"Rota chooses, and there's none yet":     {traits: rota.Traits{Limit: 1}, empty: true, asked: "made", made: 1},
		"it's made from the current one":         {traits: rota.Traits{Limit: 1, FromCurrent: true}, asked: "made", made: 1, given: true},
		"it can't be made now":                   {traits: rota.Traits{Limit: 1}, fault: errors.New("no"), made: 1},
		"the issuer chooses":                     {traits: rota.Traits{Limit: 2, IssuerChooses: true}, asked: "current"},
		"the issuer chooses, and there's none":   {traits: rota.Traits{Limit: 2, IssuerChooses: true}, empty: true},
		"only a person can make one":             {traits: rota.Traits{Limit: 1, Manual: true}, asked: "current"},
		"only a person can, and there's none":    {traits: rota.Traits{Limit: 1, Manual: true}, empty: true},
		"it's made from the current one, if any": {traits: rota.Traits{Limit: 1, FromCurrent: true}, empty: true, asked: "made", made: 1},
	} {
		t.Run(name, func(t *testing.T) {
			for _, refuse := range []error{nil, rota.WithRemedies(errors.New("too long"), rota.Outside("make it shorter"))} {
				b := newBench(t)
				m := &maker{Password: memory.NewPassword("app", memory.RolesOptions{}), traits: test.traits, fault: test.fault}
				b.secret.Issuer = m
				if !test.empty {
					b.store.Plant("rota-1", m.Plant("app", "current"), rota.LabelCurrent)
				}
				var asked []string
				b.secret.Targets = []rota.Target{&choosy{b.target, func(c rota.Credential) error {
					asked = append(asked, c.Field(rota.FieldPassword))
					return refuse
				}}}
				findings := rotation.Preflight(t.Context(), b.secret)
				i := slices.IndexFunc(findings, func(f rota.Finding) bool { return f.Check == "targets: a new credential fits" })
				if (i >= 0) != (test.asked != "") {
					t.Fatalf("the findings are %+v", findings)
				}
				if i >= 0 {
					want := rota.Finding{Check: "targets: a new credential fits", OK: refuse == nil}
					if refuse != nil {
						want.Detail, want.Remedies = "deliver to app: too long", rota.Outside("make it shorter")
					}
					if diff := cmp.Diff(want, findings[i]); diff != "" {
						t.Error(diff)
					}
				}
				var want []string
				if test.asked != "" {
					want = []string{test.asked}
				}
				if diff := cmp.Diff(want, asked); diff != "" {
					t.Errorf("the target was asked about %s", diff)
				}
				if len(m.asked) != test.made || test.made > 0 && m.asked[0].Current.IsZero() == test.given {
					t.Errorf("the issuer was asked for %+v", m.asked)
				}
			}
		})
	}
}

// Nobody is asked about anything if every target takes all there is.
func TestTargetsThatTakeEverythingAreNotAsked(t *testing.T) {
	b := newBench(t)
	m := &maker{Password: memory.NewPassword("app", memory.RolesOptions{}), traits: rota.Traits{Limit: 1}}
	b.secret.Issuer = m
	for _, f := range rotation.Preflight(t.Context(), b.secret) {
		if f.Check == "targets: a new credential fits" {
			t.Errorf("%+v", f)
		}
	}
	if len(m.asked) > 0 {
		t.Errorf("the issuer was asked for %v", m.asked)
	}
}

// A turn asks the same before it begins: with the current credential where the next
// is made from it.
func TestARotationAsksTargetsAboutAValueLikeTheNext(t *testing.T) {
	b := newBench(t)
	p := memory.NewAlternating("app_a", "app_b", memory.RolesOptions{})
	fields := maps.Clone(p.Plant("app_a", "first").Fields())
	fields["note"] = "kept"
	b.store.Plant("theirs", rota.NewCredential(fields), rota.LabelCurrent)
	b.secret.Issuer = derived{p}
	if _, err := b.rotator.Adopt(t.Context(), b.secret, rotation.AdoptOptions{}); err != nil {
		t.Fatal(err)
	}
	var notes []string
	b.secret.Targets = []rota.Target{&choosy{b.target, func(c rota.Credential) error {
		notes = append(notes, c.Field(rota.FieldUsername)+" "+c.Field("note"))
		return nil
	}}}
	b.days(90)
	b.advance(t, rotation.Options{})
	if diff := cmp.Diff([]string{"app_b kept", "app_b kept"}, notes); diff != "" {
		t.Error(diff)
	}
}
