package simulate

import (
	"errors"
	"sync/atomic"
	"testing"
)

// mutantSeeds is the number of seeds within which every planted bug must be
// caught.
const mutantSeeds = 60

func TestEveryPlantedBugIsFoundByItsRule(t *testing.T) {
	var found atomic.Int64
	t.Cleanup(func() { t.Logf("count: planted bugs: %d of %d found", found.Load(), len(Mutants())) })
	for _, m := range Mutants() {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			others := map[int]int{}
			for seed := range uint64(mutantSeeds) {
				_, err := Run(t.Context(), Options{Seed: seed, Mutant: m.Name})
				v, broken := errors.AsType[*Violation](err)
				if err != nil && !broken {
					t.Fatal(err)
				}
				if !broken {
					continue
				}
				if v.Rule != m.Rule {
					others[v.Rule]++ // a consequence of the bug can be caught first
					continue
				}
				found.Add(1)
				return
			}
			t.Errorf("%s was not found by rule %d within %d seeds, but by rules %v", m.Name, m.Rule, mutantSeeds, others)
		})
	}
}
