// Command mutate shows what the tests don't notice. It plants small bugs in the
// named files, one at a time, and reports those with which every test still
// passes.
//
//	mutate [-limit 20m] [-workers 2] [-equivalent FILE] [-then STAGE]… [-need 95] PATH…
//
// A path is a package's folder or a file. The package's own tests run first; a
// mutant that survives them goes through the stages of -then, each written as
// arguments of go test: '-run TestTheRulesHold ./internal/simulate'.
//
// All mutants of a package are compiled into one test binary (go test -overlay),
// and the environment says which one is on. So nothing in the tree changes, and a
// mutant costs no more than the tests that reach it. With a list of equivalent
// mutants, those in it may survive; an entry that is killed or that fits nothing
// is an error.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// options are the command's flags and arguments.
type options struct {
	limit      time.Duration
	workers    int
	need       float64
	equivalent string
	own        string   // more arguments for the package's own tests
	then       []string // further stages
	paths      []string
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("mutate", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.DurationVar(&o.limit, "limit", 20*time.Minute, "start no further mutant after this time")
	flags.IntVar(&o.workers, "workers", 2, "how many mutants run at once")
	flags.Float64Var(&o.need, "need", 0, "fail if the package's own tests kill less than this, in percent")
	flags.StringVar(&o.equivalent, "equivalent", "", "the file that lists equivalent mutants")
	flags.StringVar(&o.own, "own", "", "more arguments for the package's own tests, such as '-short'")
	flags.Func("then", "a further stage, as arguments of go test; can be repeated", func(s string) error {
		o.then = append(o.then, s)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.paths = flags.Args()
	if len(o.paths) == 0 {
		return o, fmt.Errorf("name the packages or files to plant bugs in")
	}
	return o, nil
}

// run returns 0 if no mutant survived that isn't listed as equivalent, 1 if some
// did (or fewer than -need were killed), and 2 if something went wrong.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "mutate:", err)
		return 2
	}
	verdict, err := mutate(ctx, o, stdout)
	if err != nil {
		fmt.Fprintln(stderr, "mutate:", err)
		return 2
	}
	if verdict.failed(o) {
		return 1
	}
	return 0
}

func mutate(ctx context.Context, o options, stdout io.Writer) (*verdict, error) {
	started := time.Now()
	packages, err := findPackages(o.paths)
	if err != nil {
		return nil, err
	}
	var mutants []*mutant
	for _, p := range packages {
		if err := p.instrument(&mutants); err != nil {
			return nil, err
		}
	}
	if len(mutants) == 0 {
		return nil, fmt.Errorf("there is nothing to mutate in %s", strings.Join(o.paths, " "))
	}
	known, err := readEquivalent(o.equivalent)
	if err != nil {
		return nil, err
	}
	fits := known.mark(mutants, packages)

	dir, err := os.MkdirTemp("", "mutate-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	overlay, err := writeOverlay(dir, packages)
	if err != nil {
		return nil, err
	}
	deadline := started.Add(o.limit)
	alive := mutants
	for i, s := range stages(o, packages) {
		if len(alive) == 0 {
			break
		}
		began := time.Now()
		if needs, err := s.needs(ctx, packages); err != nil {
			return nil, err
		} else if !needs {
			continue
		}
		if err := s.build(ctx, filepath.Join(dir, fmt.Sprintf("stage%d.test", i)), overlay); err != nil {
			return nil, err
		}
		if err := s.trace(ctx, dir); err != nil {
			return nil, err
		}
		before := len(s.of(alive))
		if err := s.runAll(ctx, s.of(alive), o.workers, deadline); err != nil {
			return nil, err
		}
		alive = slices.DeleteFunc(slices.Clone(alive), func(m *mutant) bool { return m.killedBy != "" })
		fmt.Fprintf(stdout, "%s: %d mutants, %d left, %s\n", s.name, before, len(s.of(alive)), time.Since(began).Round(time.Second))
	}
	v := &verdict{mutants: mutants, unfit: fits}
	v.print(stdout, packages)
	return v, nil
}

// verdict is what came of all mutants.
type verdict struct {
	mutants []*mutant
	unfit   []string // complaints about the list of equivalent mutants
}

// failed reports whether anything calls for attention.
func (v *verdict) failed(o options) bool {
	if len(v.complaints()) > 0 {
		return true
	}
	if o.need > 0 {
		killed, all := v.ownRate()
		return all > 0 && 100*float64(killed) < o.need*float64(all)
	}
	return slices.ContainsFunc(v.mutants, (*mutant).survives)
}

// complaints are the entries of the list that fit nothing, or whose mutant is
// killed.
func (v *verdict) complaints() []string {
	all := slices.Clone(v.unfit)
	for _, m := range v.mutants {
		if m.why != "" && m.killedBy != "" {
			all = append(all, fmt.Sprintf("listed as equivalent, but %s notices it: %s", m.killedBy, m.key()))
		}
	}
	return all
}

// ownRate is how many mutants the package's own tests killed, of those that
// aren't equivalent.
func (v *verdict) ownRate() (killed, all int) {
	for _, m := range v.mutants {
		if m.why != "" {
			continue
		}
		all++
		if m.own {
			killed++
		}
	}
	return killed, all
}

func (v *verdict) print(w io.Writer, packages []*pkg) {
	sorted := slices.Clone(v.mutants)
	slices.SortStableFunc(sorted, func(a, b *mutant) int {
		return cmp.Or(strings.Compare(a.file, b.file), a.line-b.line, a.column-b.column)
	})
	survivors, unfinished, equivalent := 0, 0, 0
	for _, m := range sorted {
		switch {
		case m.why != "" && m.killedBy == "":
			equivalent++
		case m.survives():
			survivors++
			fmt.Fprintf(w, "%s:%d:%d: %s%s\n", m.file, m.line, m.column, m, m.unreached())
		case m.killedBy == "":
			unfinished++
		}
	}
	for _, c := range v.complaints() {
		fmt.Fprintln(w, c)
	}
	killed, all := v.ownRate()
	if all == 0 {
		all = 1
	}
	names := make([]string, len(packages))
	for i, p := range packages {
		names[i] = p.dir
	}
	fmt.Fprintf(w, "%s: %d mutants, %d equivalent; own tests kill %d of %d (%.1f %%); %d survive everything",
		strings.Join(names, " "), len(v.mutants), equivalent, killed, all, 100*float64(killed)/float64(all), survivors)
	if unfinished > 0 {
		fmt.Fprintf(w, "; for %d there was no time", unfinished)
	}
	fmt.Fprintln(w)
}
