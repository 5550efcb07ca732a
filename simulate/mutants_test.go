package simulate

import (
	"errors"
	"testing"
)

// mutantSeeds is within how many seeds every planted bug must be found.
const mutantSeeds = 60

func TestEveryPlantedBugIsFoundByItsRule(t *testing.T) {
	for _, m := range Mutants() {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(mutantSeeds) {
				_, err := Run(t.Context(), Options{Seed: seed, Mutant: m.Name})
				v, found := errors.AsType[*Violation](err)
				if err != nil && !found {
					t.Fatal(err)
				}
				if !found {
					continue
				}
				if v.Rule != m.Rule {
					t.Errorf("%s was found by rule %d, want rule %d: %v", m.Name, v.Rule, m.Rule, v)
				}
				return
			}
			t.Errorf("%s was not found within %d seeds", m.Name, mutantSeeds)
		})
	}
}
