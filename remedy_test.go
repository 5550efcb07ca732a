package rota_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota"
)

func TestRemediesAreNoPartOfAnErrorsText(t *testing.T) {
	err := rota.WithRemedies(errors.New("the database is behind"), rota.Command("rota migrate"))
	wrapped := fmt.Errorf("prod/app: %w", err)
	if wrapped.Error() != "prod/app: the database is behind" {
		t.Errorf("the text is %q", wrapped)
	}
	want := []rota.Remedy{{Action: rota.RemedyCommand, Text: "rota migrate"}}
	if diff := cmp.Diff(want, rota.RemediesOf(wrapped)); diff != "" {
		t.Error(diff)
	}
}

func TestTheOutermostRemediesOfAChainCount(t *testing.T) {
	inner := &rota.Error{System: "aws a", Err: errors.New("denied"), Remedies: rota.Outside("allow it")}
	for _, test := range []struct {
		name string
		err  error
		want string
	}{
		{"none", errors.New("x"), ""},
		{"nil", nil, ""},
		{"an error's own", fmt.Errorf("x: %w", inner), "allow it"},
		{"what an outer one says", rota.WithRemedies(fmt.Errorf("x: %w", inner), rota.Command("rota check")), "rota check"},
		{"an outer one that says nothing", &rota.Error{Op: "look", Err: inner}, "allow it"},
		{"all of joined ones, each once", errors.Join(inner, rota.WithRemedies(errors.New("y"), rota.Outside("put it back")), inner), "allow it; and also put it back"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := rota.Hint(rota.RemediesOf(test.err)); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestSanitizeCutsValuesOutOfRemediesToo(t *testing.T) {
	value := "hunter2hunter2"
	err := &rota.Error{System: "x", Class: rota.ClassStop, Err: errors.New("denied"), Remedies: rota.Outside("send " + value)}
	clean := rota.Sanitize(err, rota.NewCredential(map[string]string{"password": value}))
	if hint := rota.Hint(rota.RemediesOf(fmt.Errorf("x: %w", clean))); strings.Contains(hint, value) || !strings.HasPrefix(hint, "send ") {
		t.Errorf("the hint is %q", hint)
	}
	if as, ok := errors.AsType[*rota.Error](clean); !ok || as.Class != rota.ClassStop || len(as.Remedies) != 1 {
		t.Errorf("the class or the remedies were lost: %+v", as)
	}
}

func TestEveryJoinedErrorHasToBeDealtWith(t *testing.T) {
	lost := rota.WithRemedies(errors.New("lost"), []rota.Remedy{{Action: rota.RemedyAdopt, Secret: "app"}, {Action: rota.RemedyRotate, Secret: "app"}})
	full := rota.WithRemedies(errors.New("full"), rota.Outside("free some space"))
	for _, test := range []struct {
		name string
		err  error
		want string
	}{
		{"alternatives for each", errors.Join(full, lost), "free some space; and also adopt app, or rotate app"},
		{"one that says nothing", errors.Join(errors.New("x"), lost), "adopt app, or rotate app"},
		{"the same twice", errors.Join(lost, full, lost), "adopt app, or rotate app; and also free some space"},
		{"joined in turn", errors.Join(errors.Join(full, lost), rota.WithRemedies(errors.New("x"), rota.Command("rota check"))), "free some space; and also adopt app, or rotate app; and also rota check"},
	} {
		t.Run(test.name, func(t *testing.T) {
			remedies := rota.RemediesOf(fmt.Errorf("app: %w", test.err))
			if got := rota.Hint(remedies); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if diff := cmp.Diff(remedies, rota.AllOf(rota.Requirements(remedies)...)); diff != "" {
				t.Errorf("taken apart and put together (-want +got):\n%s", diff)
			}
		})
	}
}

func TestARequirementStaysOneIfNothingCanBeSaidAboutItsFirstRemedy(t *testing.T) {
	remedies := rota.AllOf(rota.Outside("allow it"), []rota.Remedy{{Action: rota.RemedyRotate}, {Action: rota.RemedyThaw}})
	say := func(r rota.Remedy) string {
		if r.Action == rota.RemedyRotate {
			return ""
		}
		return r.String()
	}
	if got, want := rota.HintBy(remedies, say), "allow it; and also thaw"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRemediesReadAsOnePhrase(t *testing.T) {
	remedies := []rota.Remedy{
		{Action: rota.RemedyAdoptGiven, Secret: "app"},
		{Action: rota.RemedyRotate, Secret: "app", Text: "once it's fixed"},
		{Action: rota.RemedyOutside, Verb: rota.VerbDelete, Object: "AKIA1"},
		{Action: rota.RemedyConfigure, Key: "rotate_every", Value: "30d"},
		{Action: rota.RemedyThaw},
	}
	const want = "adopt app with the one in use, or rotate app once it's fixed, or delete AKIA1, or rotate_every 30d, or thaw"
	if got := rota.Hint(remedies); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
