package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The names of the environment variables that the instrumented code reads.
const (
	mutantVariable  = "ROTA_MUTANT"          // the one that's on
	reachedVariable = "ROTA_MUTANTS_REACHED" // the file to note reached mutants in
)

// helper is the file that goes with the instrumented ones of a package.
const helper = `package %s

import ("cmp"; "os"; "strconv"; "sync")

var (
	mutantChosen, _ = strconv.Atoi(os.Getenv("` + mutantVariable + `"))
	mutantsReached = os.Getenv("` + reachedVariable + `")
	mutantsSeen sync.Map
)

func mutantOn(id int) bool {
	if mutantsReached != "" {
		mutantReached(id)
	}
	return id == mutantChosen
}

func mutantReached(id int) {
	if _, seen := mutantsSeen.LoadOrStore(id, true); seen {
		return
	}
	f, err := os.OpenFile(mutantsReached, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	if _, err := f.WriteString(strconv.Itoa(id) + "\n"); err != nil {
		panic(err)
	}
}

func mutantLess[T cmp.Ordered](id int, a, b T) bool { return a < b || mutantOn(id) && a == b }
func mutantLessEqual[T cmp.Ordered](id int, a, b T) bool { return a <= b && !(mutantOn(id) && a == b) }
func mutantGreater[T cmp.Ordered](id int, a, b T) bool { return a > b || mutantOn(id) && a == b }
func mutantGreaterEqual[T cmp.Ordered](id int, a, b T) bool { return a >= b && !(mutantOn(id) && a == b) }

func mutantBefore[T interface{ Before(T) bool; After(T) bool }](id int, a, b T) bool {
	return a.Before(b) || mutantOn(id) && !a.After(b)
}

func mutantAfter[T interface{ Before(T) bool; After(T) bool }](id int, a, b T) bool {
	return a.After(b) || mutantOn(id) && !a.Before(b)
}

var (
	_ = mutantLess[int]
	_ = mutantLessEqual[int]
	_ = mutantGreater[int]
	_ = mutantGreaterEqual[int]
)
`

// writeOverlay writes the instrumented files and returns the overlay that puts
// them in place of the originals.
func writeOverlay(dir string, packages []*pkg) (string, error) {
	replace := map[string]string{}
	write := func(at string, text []byte) error {
		path := filepath.Join(dir, strconv.Itoa(len(replace))+".go")
		abs, err := filepath.Abs(at)
		if err != nil {
			return err
		}
		replace[abs] = path
		return os.WriteFile(path, text, 0o600)
	}
	for _, p := range packages {
		for file, text := range p.instrumented {
			if err := write(file, text); err != nil {
				return "", err
			}
		}
		if err := write(filepath.Join(p.dir, "mutants_generated.go"), fmt.Appendf(nil, helper, p.name)); err != nil {
			return "", err
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, text, 0o600)
}

// stage is one package's tests.
type stage struct {
	name   string
	dir    string   // the package under test
	args   []string // for the test binary, such as -test.run
	env    []string
	own    string // the package whose own tests these are, if any
	binary string
	// reaches has the tests that get to a mutant.
	reaches map[int][]string
	// takes is how long each test takes without a mutant.
	takes map[string]time.Duration
}

// stages are the packages' own tests, then the further ones.
func stages(o options, packages []*pkg) []*stage {
	var all []*stage
	for _, p := range packages {
		s := newStage(strings.Fields(o.own), p.dir)
		s.own = p.dir
		all = append(all, s)
	}
	for _, then := range o.then {
		all = append(all, newStage(strings.Fields(then), ""))
	}
	return all
}

// newStage makes a stage of arguments as go test takes them, of which one is the
// package's folder, unless that is given: NAME=VALUE before all others is for the
// environment, and what follows -args is for the tests.
func newStage(args []string, dir string) *stage {
	s := &stage{dir: dir}
	for i, a := range args {
		name, isFlag := strings.CutPrefix(a, "-")
		if a == "-args" {
			s.args = append(s.args, args[i+1:]...)
			break
		}
		switch {
		case isFlag:
			s.args = append(s.args, "-test."+name)
		case strings.HasPrefix(a, "./"):
			s.dir = a
		case strings.Contains(a, "=") && len(s.args) == 0:
			s.env = append(s.env, a)
		default:
			s.args = append(s.args, a)
		}
	}
	s.name = filepath.ToSlash(filepath.Clean(s.dir))
	return s
}

// needs reports whether the stage's tests are built from one of the packages.
func (s *stage) needs(ctx context.Context, packages []*pkg) (bool, error) {
	if s.own != "" {
		return true, nil
	}
	out, err := exec.CommandContext(ctx, "go", "list", "-test", "-deps", "-f", "{{.Dir}}", "./"+filepath.Clean(s.dir)).Output()
	if err != nil {
		return false, fmt.Errorf("list what %s is built from: %w", s.name, err)
	}
	dirs := strings.Fields(string(out))
	for _, p := range packages {
		if abs, err := filepath.Abs(p.dir); err == nil && slices.Contains(dirs, abs) {
			return true, nil
		}
	}
	return false, nil
}

// of returns the mutants that the stage is for.
func (s *stage) of(mutants []*mutant) []*mutant {
	return slices.DeleteFunc(slices.Clone(mutants), func(m *mutant) bool {
		return s.own != "" && filepath.Dir(m.file) != s.own
	})
}

func (s *stage) build(ctx context.Context, binary, overlay string) error {
	s.binary = binary
	cmd := exec.CommandContext(ctx, "go", "test", "-trimpath", "-c", "-overlay", overlay, "-o", binary, "./"+filepath.Clean(s.dir))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s with mutants doesn't compile: %w\n%s", s.name, err, out)
	}
	if _, err := os.Stat(binary); err != nil {
		return fmt.Errorf("%s has no tests", s.name)
	}
	return nil
}

// test runs some of the stage's tests, with one mutant on.
func (s *stage) test(ctx context.Context, names []string, limit time.Duration, env ...string) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	args := slices.Concat(s.args, []string{"-test.failfast"})
	if len(names) > 0 {
		args = append(args, "-test.run", "^("+strings.Join(names, "|")+")$")
	}
	cmd := exec.CommandContext(ctx, s.binary, args...)
	cmd.Dir = s.dir
	cmd.Env = append(append(os.Environ(), s.env...), env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = errHangs
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out.Bytes())
	}
	return nil
}

// errHangs is the error of tests that took longer than their patience.
var errHangs = errors.New("the tests hang")

// patience is how long the tests may take before a mutant counts as noticed
// because they hang.
func patience(usual time.Duration) time.Duration { return 10*time.Second + 5*usual }

// baseline bounds one test without a mutant.
const baseline = 10 * time.Minute

// trace runs each test once without a mutant, which must pass, and learns which
// mutants it reaches.
func (s *stage) trace(ctx context.Context, dir string) error {
	args := append(slices.Clone(s.args), "-test.list", ".")
	if i := slices.Index(s.args, "-test.run"); i >= 0 {
		args = []string{"-test.list", s.args[i+1]}
	}
	cmd := exec.CommandContext(ctx, s.binary, args...)
	cmd.Dir = s.dir
	list, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("list the tests of %s: %w", s.name, err)
	}
	s.reaches, s.takes = map[int][]string{}, map[string]time.Duration{}
	for _, name := range regexp.MustCompile(`(?m)^(Test|Example|Fuzz)\w*$`).FindAllString(string(list), -1) {
		path := filepath.Join(dir, "reached")
		_ = os.Remove(path)
		began := time.Now()
		if err := s.test(ctx, []string{name}, baseline, reachedVariable+"="+path); err != nil {
			return fmt.Errorf("without a mutant, %s of %s fails: %w", name, s.name, err)
		}
		s.takes[name] = time.Since(began)
		text, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		for line := range strings.Lines(string(text)) {
			id, err := strconv.Atoi(strings.TrimSpace(line))
			if err != nil {
				return err
			}
			s.reaches[id] = append(s.reaches[id], name)
		}
	}
	return nil
}

// runAll runs the stage with each mutant, until the deadline.
func (s *stage) runAll(ctx context.Context, mutants []*mutant, workers int, deadline time.Time) error {
	queue := make(chan *mutant)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for m := range queue {
				s.try(ctx, m)
			}
		})
	}
	for _, m := range mutants {
		m.finished = false
		if time.Now().Before(deadline) && ctx.Err() == nil {
			queue <- m
		}
	}
	close(queue)
	wg.Wait()
	return ctx.Err()
}

// try runs the tests that reach a mutant with it on.
func (s *stage) try(ctx context.Context, m *mutant) {
	names := slices.Clone(s.reaches[m.id])
	if len(names) == 0 {
		m.finished = true
		return
	}
	m.reached = true
	var err error
	for _, batch := range s.batches(names) {
		var usual time.Duration
		for _, n := range batch {
			usual += s.takes[n]
		}
		on := mutantVariable + "=" + strconv.Itoa(m.id)
		if err = s.test(ctx, batch, patience(usual), on); errors.Is(err, errHangs) {
			err = s.test(ctx, batch, 2*patience(usual), on) // perhaps the machine was busy
		}
		if err != nil {
			break
		}
	}
	if ctx.Err() != nil {
		return
	}
	m.finished = true
	if err != nil {
		m.killedBy, m.own = s.name, s.own != ""
	}
}

// batches splits tests by how long they take, quickest first: those that take a
// sixteenth of the time together, then up to half of it, then the others. Most
// mutants are noticed by the first: go test itself would run them in the order of
// the source.
func (s *stage) batches(names []string) [][]string {
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(s.takes[a], s.takes[b]) })
	var all, sum time.Duration
	for _, n := range names {
		all += s.takes[n]
	}
	var batches [][]string
	limits := []time.Duration{all / 16, all / 2, all}
	begin := 0
	for i, n := range names {
		for sum+s.takes[n] > limits[0] && len(limits) > 1 {
			limits = limits[1:]
			if i > begin {
				batches, begin = append(batches, names[begin:i]), i
			}
		}
		sum += s.takes[n]
	}
	return append(batches, names[begin:])
}
