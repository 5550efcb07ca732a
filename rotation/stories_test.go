package rotation_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
	"github.com/rota-dev/rota/rotation"
)

// tale is a secret that things happen to. testdata/stories.txt has what was said
// and remembered of each: the audit, the events, the store's labels and the
// progress that the next turn finds. Read the diff after -update as you'd read a
// change of what people are told.
type tale struct {
	*bench
	t       *testing.T
	entries int
	events  int
	made    int               // versions
	planted int               // versions of somebody else\'s
	names   map[string]string // of keys

	outsider bool   // calls are somebody else's
	slow     string // calls of it take a minute
	stops    string // calls of it are when the process is asked to stop
	stop     func()
	keeper   *keeper

	// In a replay, the calls of op go wrong from number from on, until the action
	// is over.
	op     string
	from   int
	with   memory.Fault
	once   bool
	dead   bool // the process was killed
	calls  map[string]int
	called []string     // in this action
	again  map[int]bool // the logins that follow another one at once
	sent   bool         // an event, in this action
	failed bool         // the fault was planted, in this action
	over   bool         // and that one is over
	heard  error        // what it returned
	later  []string     // what it changed outside afterwards

	acts []act
}

// act is one thing that happens in a tale, with all that came of it.
type act struct {
	what       string
	at         time.Time
	hit        bool // the fault was planted in it
	err        error
	said       []string // audit and events
	calls      []string
	counts     map[string]int // of all calls until then
	store      []string
	remembered string
}

func newTale(t *testing.T) *tale {
	s := &tale{t: t, bench: &bench{now: day0}, calls: map[string]int{}, names: map[string]string{}, again: map[int]bool{}}
	s.build(s.fault)
	s.rotator.NewID = func() string { s.made++; return fmt.Sprintf("rota-%d", s.made) }
	return s
}

func (s *tale) fault(c memory.Call) memory.Fault {
	if s.outsider {
		return memory.Fault{}
	}
	s.calls[c.Op]++
	if n := len(s.called); c.Op == "issuer.test" && n > 0 && s.called[n-1] == c.Op {
		s.again[s.calls[c.Op]] = true
	}
	s.called = append(s.called, c.Op)
	if c.Op == s.stops {
		s.stop()
	}
	if c.Op == s.slow {
		s.now = s.now.Add(time.Minute)
	}
	if s.failed && slices.Contains(effects, c.Op) {
		s.later = append(s.later, c.Op)
	}
	s.sent = s.sent || c.Op == "notifier.notify"
	switch {
	case s.dead:
		return memory.Fault{Before: errDead}
	case c.Op == "journal.save" && s.sent: // it's sent again if that isn't written down
		return memory.Fault{}
	case c.Op != s.op || s.calls[c.Op] < s.from || s.over || s.once && s.failed:
		return s.faults.Fault(c)
	}
	s.failed = true
	s.dead = s.with.Crash
	return s.with
}

// do does something and writes down what came of it.
func (s *tale) do(what string, f func() error) {
	s.t.Helper()
	s.sent, s.called = false, nil
	a := act{what: what, at: s.now, err: s.survive(f)}
	a.hit, a.calls = s.failed, s.called
	if s.op == "" {
		a.counts = maps.Clone(s.calls)
	}
	if s.failed {
		s.failed, s.over, s.heard = false, true, a.err
	}
	for _, e := range s.journal.Entries()[s.entries:] {
		a.said = append(a.said, "audit: "+strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s %s %s", e.Step, e.Object, e.Version, e.Credential, e.Outcome, e.Detail)), " "))
		s.entries++
	}
	for _, e := range s.notifier.Events()[s.events:] {
		a.said = append(a.said, fmt.Sprintf("event: %s %s %s %s", e.Kind, e.Version, e.Credential, e.Reason))
		s.events++
	}
	if s.op == "" || a.hit { // nobody asks for it otherwise
		s.outside(func() error {
			c, err := s.store.Describe(s.t.Context())
			for _, v := range c.Versions {
				a.store = append(a.store, fmt.Sprintf("store: %s is %s", v.ID, v.Labels))
			}
			return err
		})
		a.remembered = s.remembered()
	}
	s.acts = append(s.acts, a)
	if n := len(s.acts); a.hit && s.with.Before != nil || n > 1 && s.acts[n-2].hit {
		panic(enough{})
	}
}

// enough ends a replay once nothing more is asked of it.
type enough struct{}

// replay plays a story with a setback.
func (s *tale) replay(one story) {
	defer func() {
		if r := recover(); r != nil && r != (enough{}) {
			panic(r)
		}
	}()
	one.play(s)
}

// outcomeOf adds what came of the last action.
func (s *tale) outcomeOf(what string) {
	last := &s.acts[len(s.acts)-1]
	last.said = append(last.said, what)
}

// survive does something in a process that may be killed. Its lease ends, and the
// next one is started.
func (s *tale) survive(f func() error) (err error) {
	defer func() {
		if s.dead {
			_ = recover()
			s.dead, err = false, errDead
			s.now = s.now.Add(time.Hour)
		}
	}()
	return f()
}

var errDead = errors.New("killed")

// outside does what isn't Rota's doing.
func (s *tale) outside(f func() error) {
	s.t.Helper()
	s.outsider = true
	if err := f(); err != nil && s.op == "" { // what a setback kept from being made, nobody can change
		s.t.Fatal(err)
	}
	s.outsider = false
}

// remembered is the progress, without what repeats the audit.
func (s *tale) remembered() string {
	p := s.journal.Progress(s.secret.Name)
	p.Status.Reason, p.Status.Remedies = "", nil
	if p.Failure != nil {
		f := *p.Failure
		f.Error, f.Remedies = "", nil
		p.Failure = &f
	}
	text, err := json.Marshal(p)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

// told is the whole tale, with names and times that are easy to read.
func (s *tale) told() string {
	var out strings.Builder
	for _, a := range s.acts {
		out.WriteString("\t" + day(a.at.Truncate(time.Hour)) + ": " + a.what + "\n")
		if a.err != nil {
			fmt.Fprintf(&out, "\t\terror: %s\n", rota.OneLine(a.err.Error()))
			for _, r := range rota.RemediesOf(a.err) {
				fmt.Fprintf(&out, "\t\t\t→ %s %q\n", r.Action, r.Text)
			}
		}
		for _, line := range slices.Concat(a.said, a.store) {
			out.WriteString("\t\t" + line + "\n")
		}
		fmt.Fprintf(&out, "\t\tcalls: %s\n\t\tremembered: %s\n", runs(a.calls), a.remembered)
	}
	return s.readable(out.String())
}

// runs is a list in one line.
func runs(list []string) string {
	var out []string
	for i := 0; i < len(list); {
		n := i
		for n < len(list) && list[n] == list[i] {
			n++
		}
		one := list[i]
		if n-i > 1 {
			one += fmt.Sprintf(" ×%d", n-i)
		}
		out, i = append(out, one), n
	}
	return strings.Join(out, ", ")
}

var (
	anyKey  = regexp.MustCompile(`AKIA[A-Z2-7]{16}`)
	anyTime = regexp.MustCompile(`"2[0-9-]+T[0-9:.]+Z"`)
)

// readable puts names for the keys, and days for the times.
func (s *tale) readable(text string) string {
	text = anyKey.ReplaceAllStringFunc(text, func(id string) string {
		if s.names[id] == "" {
			s.names[id] = fmt.Sprintf("KEY%d", len(s.names)+1)
		}
		return s.names[id]
	})
	return anyTime.ReplaceAllStringFunc(text, func(quoted string) string {
		at, err := time.Parse(`"`+time.RFC3339Nano+`"`, quoted)
		if err != nil {
			s.t.Fatal(err)
		}
		return strings.ReplaceAll(day(at), " and ", "+")
	})
}

func (s *tale) advance(o rotation.Options) {
	what := "a turn"
	if o.Force != "" {
		what = "asked to " + string(o.Force)
	}
	s.do(what, func() error { _, err := s.rotator.Advance(s.context(), s.secret, o); return err })
}

// context ends when the process is asked to stop.
func (s *tale) context() context.Context {
	ctx, stop := context.WithCancel(s.t.Context())
	s.stop = stop
	return ctx
}

// turns are turns after some days each.
func (s *tale) turns(after ...int) {
	for _, n := range after {
		s.days(n)
		s.advance(rotation.Options{})
	}
}

func (s *tale) rollback() {
	s.do("asked to roll back", func() error { _, err := s.rotator.Rollback(s.context(), s.secret); return err })
}

func (s *tale) adopt(o rotation.AdoptOptions) {
	s.do("asked to adopt", func() error { _, err := s.rotator.Adopt(s.t.Context(), s.secret, o); return err })
}

func (s *tale) driven(adopt bool, steps ...rota.Step) {
	s.made++
	version := fmt.Sprintf("announced-%d", s.made)
	s.store.Plant(version, rota.Credential{}, rota.LabelPending)
	for _, step := range steps {
		s.do("driven to "+string(step), func() error {
			_, err := s.rotator.Drive(s.t.Context(), s.secret, rotation.DriveRequest{Step: step, Version: version, Adopt: adopt})
			return err
		})
	}
}

func (s *tale) password() {
	s.secret.Issuer = memory.NewPassword("app", memory.RolesOptions{Options: memory.Options{Now: s.rotator.Now, Faults: s.fault}})
}

func (s *tale) pair() *memory.Alternating {
	a := memory.NewAlternating("app_a", "app_b", memory.RolesOptions{Options: memory.Options{Now: s.rotator.Now, Faults: s.fault}})
	s.secret.Issuer = a
	return a
}

func TestStories(t *testing.T) {
	var out strings.Builder
	for _, one := range stories {
		s := newTale(t)
		one.play(s)
		out.WriteString(one.name + "\n" + s.told() + "\n")
	}
	golden(t, "testdata/stories.txt", out.String())
}
