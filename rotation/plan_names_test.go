package rotation_test

import (
	"slices"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// Whoever reads a plan can follow each credential from its creation on.
func TestAPlanNamesWhatItCreates(t *testing.T) {
	key := rotated(never)
	pair := rotated(never)
	pair.Traits, pair.Names = rota.Traits{Kind: "password", Limit: 2}, []string{"A", "B"}
	lone := served()
	lone.Traits, lone.Names, lone.Issued = pgLike, []string{"A"}, []rota.Issued{{ID: "A", Active: true}}
	for _, test := range []struct {
		name  string
		state rotation.State
		want  []string // created, and promoted later
	}{
		{"keys are numbered", key, []string{"(new 1)", "(new 1)", "(new 2)", "(new 2)"}},
		{"of a pair of roles, it's the other one", pair, []string{"A", "A", "B", "B"}},
		{"a lone role stays", lone, []string{"A", "A", "A", "A"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for p := range rotation.Project(test.state, policy90, at(95), at(400)) {
				if p.Decision.Step == rota.StepCreate || p.Decision.Step == rota.StepPromote {
					got = append(got, p.Decision.Credential)
				}
			}
			if len(got) < 4 || !slices.Equal(got[:4], test.want) {
				t.Errorf("it names %q, want %q first", got, test.want)
			}
		})
	}
}
