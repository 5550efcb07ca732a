package cli

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/simulate"
)

func (a *app) simulateCommand() *cobra.Command {
	o := simulate.Options{Days: 800, Secrets: 8, Seed: 1}
	seeds := 8
	var mutant string
	c := &cobra.Command{
		Use:   "simulate",
		Short: "Simulate rotations in virtual time among faulty systems, and check the rules",
		Long: `Rotates secrets in virtual time, among systems that fail, crash and return stale
answers, with people who interfere and clocks that jump, and checks after every
step the rules that must always hold. A broken rule is printed with its seed, which
replays the run exactly. Touches nothing outside this process. Exit code 1 if a
rule was broken.`,
		Args: noArgs, Annotations: inPlace(placeNowhere),
		RunE: func(c *cobra.Command, _ []string) error {
			for name, n := range map[string]int{"days": o.Days, "secrets": o.Secrets, "seeds": seeds} {
				if n < 1 {
					return usage("--%s %d: must be at least 1", name, n)
				}
			}
			if c.Flags().Changed("seed") && !c.Flags().Changed("seeds") {
				seeds = 1
			}
			names := mutantNames()
			if mutant != "" && !slices.Contains(names, mutant) {
				return rota.WithRemedies(usage("--mutant %s: no such bug", mutant), rota.Outside("use one of "+strings.Join(names, ", ")))
			}
			o.Mutant = mutant
			return a.simulate(c.Context(), o, seeds)
		},
	}
	f := c.Flags()
	f.IntVar(&o.Days, "days", o.Days, "how many days of virtual time, the last 16 of them without faults")
	f.IntVar(&seeds, "seeds", seeds, "how many seeds, each a separate world")
	f.IntVar(&o.Secrets, "secrets", o.Secrets, "how many secrets in each world")
	f.Uint64Var(&o.Seed, "seed", o.Seed, "the first seed; without --seeds, replays only this one")
	f.StringVar(&mutant, "mutant", "", "inject this bug, to see it found")
	return c
}

func mutantNames() []string {
	var names []string
	for _, m := range simulate.Mutants() {
		names = append(names, m.Name)
	}
	return names
}

func (a *app) simulate(ctx context.Context, o simulate.Options, seeds int) error {
	done := 0
	if a.errStyle.terminal && !a.json() {
		o.Report = func(uint64, simulate.Result, error) {
			done++
			fmt.Fprintf(a.Stderr, "\r%d of %d seeds", done, seeds)
			if done == seeds {
				fmt.Fprintln(a.Stderr)
			}
		}
	}
	result, err := simulate.RunMany(ctx, o, seeds, runtime.GOMAXPROCS(0))
	violations := violationsOf(err)
	if err != nil && len(violations) == 0 {
		return err
	}
	doc := simulateDoc{Result: result, FirstSeed: o.Seed, Violations: []violationDoc{}}
	for _, v := range violations {
		doc.Violations = append(doc.Violations, violationDoc{
			Seed: v.Seed, Rule: v.Rule, Secret: v.Secret, At: v.At, What: v.What, Trace: v.Trace, Replay: replay(o, v.Seed),
		})
	}
	code := exitDone
	if len(violations) > 0 {
		code = exitFailed
	}
	if a.json() {
		if err := a.document(doc); err != nil {
			return err
		}
		return silently(code)
	}
	for _, v := range doc.Violations {
		a.printf("%s seed %d: rule %d broken for %s at %s: %s", a.paint(a.outStyle, red, "broken:"), v.Seed, v.Rule, v.Secret, v.At.Format("2006-01-02 15:04:05"), v.What)
		for _, line := range v.Trace {
			a.printf("  %s", line)
		}
		a.printf("  replay: %s", v.Replay)
	}
	fmt.Fprint(a.Stdout, result)
	a.printf("rules broken: %d", len(violations))
	return silently(code)
}

// replay is the command that reproduces the violation.
func replay(o simulate.Options, seed uint64) string {
	command := fmt.Sprintf("rota simulate --days %d --secrets %d --seed %d", o.Days, o.Secrets, seed)
	if o.Mutant != "" {
		command += " --mutant " + o.Mutant
	}
	return command
}

// violationsOf splits a joined error into violations; none if something
// else went wrong.
func violationsOf(err error) []*simulate.Violation {
	type several interface {
		error
		Unwrap() []error
	}
	if joined, ok := errors.AsType[several](err); ok {
		var out []*simulate.Violation
		for _, e := range joined.Unwrap() {
			of := violationsOf(e)
			if of == nil {
				return nil
			}
			out = append(out, of...)
		}
		return out
	}
	if v, ok := errors.AsType[*simulate.Violation](err); ok {
		return []*simulate.Violation{v}
	}
	return nil
}
