package rotation_test

import (
	"encoding/json"
	"fmt"
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
	out     strings.Builder
	entries int
	events  int
	made    int // versions

	outsider bool // calls are somebody else's
	keeper   *keeper

	// In a replay, the calls of op fail from number from on, before or after they
	// act, until the action is over.
	op     string
	from   int
	after  bool
	calls  map[string]int
	sent   bool     // an event, in this action
	failed bool     // the fault was planted, in this action
	over   bool     // and that one is over
	heard  error    // what it returned
	later  []string // what it changed outside afterwards
}

func newTale(t *testing.T) *tale {
	s := &tale{t: t, bench: &bench{now: day0}, calls: map[string]int{}}
	s.build(s.fault)
	s.rotator.NewID = func() string { s.made++; return fmt.Sprintf("rota-%d", s.made) }
	return s
}

// effects are the calls that change something outside.
var effects = []string{"issuer.create", "issuer.set", "issuer.deactivate", "issuer.reactivate", "issuer.delete", "store.put", "store.move", "target.deliver", "reloader.reload"}

func (s *tale) fault(c memory.Call) memory.Fault {
	if s.outsider {
		return memory.Fault{}
	}
	s.calls[c.Op]++
	if s.failed && slices.Contains(effects, c.Op) {
		s.later = append(s.later, c.Op)
	}
	s.sent = s.sent || c.Op == "notifier.notify"
	switch {
	case c.Op == "journal.save" && s.sent: // it's sent again if that isn't written down
		return memory.Fault{}
	case c.Op != s.op || s.calls[c.Op] < s.from || s.over:
		return s.faults.Fault(c)
	case s.after:
		s.failed = true
		return memory.Fault{After: errPlanted}
	}
	s.failed = true
	return memory.Fault{Before: errPlanted}
}

// do does something and writes down what came of it.
func (s *tale) do(what string, f func() error) {
	s.t.Helper()
	s.sent = false
	err := f()
	if s.failed {
		s.failed, s.over, s.heard = false, true, err
	}
	fmt.Fprintf(&s.out, "\t%s: %s\n", day(s.now.Truncate(time.Hour)), what)
	if err != nil {
		fmt.Fprintf(&s.out, "\t\terror: %s\n", rota.OneLine(err.Error()))
		for _, r := range rota.RemediesOf(err) {
			fmt.Fprintf(&s.out, "\t\t\t→ %s %q\n", r.Action, r.Text)
		}
	}
	for _, e := range s.journal.Entries()[s.entries:] {
		s.out.WriteString("\t\taudit: " + strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s %s %s", e.Step, e.Object, e.Version, e.Credential, e.Outcome, e.Detail)), " ") + "\n")
		s.entries++
	}
	for _, e := range s.notifier.Events()[s.events:] {
		fmt.Fprintf(&s.out, "\t\tevent: %s %s %s %s\n", e.Kind, e.Version, e.Credential, e.Reason)
		s.events++
	}
	s.outside(func() error {
		c, err := s.store.Describe(s.t.Context())
		for _, v := range c.Versions {
			fmt.Fprintf(&s.out, "\t\tstore: %s is %s\n", v.ID, v.Labels)
		}
		return err
	})
	fmt.Fprintf(&s.out, "\t\tremembered: %s\n", s.remembered())
}

// outside does what isn't Rota's doing.
func (s *tale) outside(f func() error) {
	s.t.Helper()
	s.outsider = true
	if err := f(); err != nil {
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
	names := map[string]string{}
	text := regexp.MustCompile(`AKIA[A-Z2-7]{16}`).ReplaceAllStringFunc(s.out.String(), func(id string) string {
		if names[id] == "" {
			names[id] = fmt.Sprintf("KEY%d", len(names)+1)
		}
		return names[id]
	})
	return regexp.MustCompile(`"2[0-9-]+T[0-9:.]+Z"`).ReplaceAllStringFunc(text, func(quoted string) string {
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
	s.do(what, func() error { _, err := s.rotator.Advance(s.t.Context(), s.secret, o); return err })
}

// turns are turns after some days each.
func (s *tale) turns(after ...int) {
	for _, n := range after {
		s.days(n)
		s.advance(rotation.Options{})
	}
}

func (s *tale) rollback() {
	s.do("asked to roll back", func() error { _, err := s.rotator.Rollback(s.t.Context(), s.secret); return err })
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

// Whichever call fails, whoever asked hears of it. And once an intent couldn't be
// written down, nothing is changed outside.
func TestNoFailureGoesUnheard(t *testing.T) {
	for _, one := range stories {
		plain := newTale(t)
		one.play(plain)
		for _, op := range []string{"store.describe", "store.get", "store.put", "store.move", "issuer.list", "issuer.create", "issuer.set", "issuer.deactivate", "issuer.reactivate", "issuer.delete", "journal.load", "journal.save"} {
			for from := 1; from <= plain.calls[op]; from++ {
				for _, after := range []bool{false, true} {
					s := newTale(t)
					s.op, s.from, s.after = op, from, after
					one.play(s)
					name := fmt.Sprintf("%s, %s %d, after it acts: %t", one.name, op, from, after)
					if s.over && s.heard == nil {
						t.Errorf("%s: nobody heard of it", name)
					}
					if op == "journal.save" && !after && len(s.later) > 0 {
						t.Errorf("%s: then it did %v", name, s.later)
					}
				}
			}
		}
	}
}
