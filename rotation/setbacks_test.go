package rotation_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/memory"
)

// setback is what goes wrong with a kind of calls.
type setback struct {
	how   string
	fault memory.Fault
	ops   []string
	once  bool   // only one call goes wrong
	text  string // is in the error
}

var (
	looks   = []string{"store.describe", "store.get", "issuer.list", "issuer.test", "issuer.tell", "journal.load"}
	effects = []string{"issuer.create", "issuer.set", "issuer.renew", "issuer.deactivate", "issuer.reactivate", "issuer.delete", "store.put", "store.move", "target.deliver", "reloader.reload"}
	steady  = slices.Concat(effects, []string{"journal.save"})
)

// everywhere are the calls that are made between any two others: what comes of
// their setbacks is the same each time. It isn't written down, and tried only in the
// stories of whole lives.
var everywhere = []string{"store.describe", "journal.load", "journal.save"}

// unheard are the calls that may fail without an error: whether a login is refused
// is sometimes the question, and what can't be told or a value that can't be read may only make Rota more
// careful.
var unheard = []string{"issuer.test", "issuer.tell", "store.get"}

func stopping(err error) memory.Fault {
	return memory.Fault{Before: &rota.Error{Class: rota.ClassStop, Err: err}}
}

var setbacks = []setback{
	{how: "gets no answer", fault: memory.Fault{Before: errPlanted}, text: "planted fault", ops: slices.Concat(looks, slices.DeleteFunc(slices.Clone(steady), func(op string) bool { return op == "store.move" }))}, // which is retried, and then denied
	{how: "gets no answer once", fault: memory.Fault{Before: errPlanted}, text: "planted fault", ops: []string{"journal.save"}, once: true},
	{how: "loses its answer", fault: memory.Fault{After: errPlanted}, text: "planted fault", ops: steady},
	{how: "is denied", fault: stopping(errors.New("denied")), ops: []string{"issuer.test", "issuer.create", "issuer.set", "issuer.renew", "issuer.deactivate", "issuer.reactivate", "issuer.delete", "target.deliver"}},
	{how: "is refused", fault: memory.Fault{Before: &rota.Error{Class: rota.ClassWait, Err: rota.ErrRefused}}, ops: []string{"issuer.test"}},
	{how: "conflicts once", fault: stopping(rota.ErrConflict), ops: []string{"store.move"}, once: true},
	{how: "conflicts", fault: stopping(rota.ErrConflict), ops: []string{"store.move"}},
	{how: "is too late", fault: stopping(rota.ErrFenced), text: rota.ErrFenced.Error(), ops: []string{"journal.save"}},
	{how: "is its last", fault: memory.Fault{Crash: true}, ops: steady},
}

// TestSetbacks plays each story again and again, each time with another call that
// goes wrong until the action is over, and writes down how that differs from what
// happens without: in testdata/setbacks.txt, one example for each outcome. Read the
// diff after -update as you'd read a change of what Rota does when something fails.
//
// Whichever it is, whoever asked hears of it. And once an intent couldn't be
// written down, nothing is changed outside.
func TestSetbacks(t *testing.T) {
	known, err := os.ReadFile("testdata/setbacks.txt")
	if err != nil && !*update {
		t.Fatal(err)
	}
	outcomes := make([][]outcome, len(stories))
	plays := make([]*tale, len(stories))
	for i, one := range stories {
		plays[i] = newTale(t)
		one.play(plays[i])
	}
	t.Run("stories", func(t *testing.T) {
		for i, one := range stories {
			t.Run(one.name, func(t *testing.T) {
				t.Parallel()
				outcomes[i] = one.setbacks(t, string(known), plays[i], begunAs(plays[:i], plays[i]))
			})
		}
	})
	var order []string
	examples := map[string][]string{}
	for _, o := range slices.Concat(outcomes...) {
		if examples[o.text] == nil {
			order = append(order, o.text)
		}
		examples[o.text] = append(examples[o.text], o.name)
	}
	var out strings.Builder
	for _, text := range order {
		names := examples[text]
		out.WriteString(names[0])
		if n := len(names) - 1; n > 0 {
			fmt.Fprintf(&out, " (and %d more)", n)
		}
		out.WriteString("\n" + text)
	}
	golden(t, "testdata/setbacks.txt", out.String())
}

// savesMatter are the stories of which it's written down what's left if the process
// dies right after it saved something.
var savesMatter = []string{"a key", "a password", "a key that's rolled back", "a password that's rolled back", "a key that's handed in"}

// outcome is what came of a setback.
type outcome struct{ name, text string }

// begunAs is how many calls of each kind a tale makes until it differs from all
// that were told before: what goes wrong with those was tried there.
func begunAs(before []*tale, s *tale) map[string]int {
	var counts map[string]int
	same := func(a, b act) bool {
		return a.what == b.what && slices.Equal(a.said, b.said) && slices.Equal(a.calls, b.calls) && a.remembered == b.remembered
	}
	longest := 0
	for _, other := range before {
		n := 0
		for n < len(s.acts) && n < len(other.acts) && same(s.acts[n], other.acts[n]) {
			n++
		}
		if n > longest {
			longest, counts = n, s.acts[n-1].counts
		}
	}
	return counts
}

// setbacks plays the story with each setback of a call after the first ones. known
// are the outcomes that there should be.
func (one story) setbacks(t *testing.T, known string, plain *tale, tried map[string]int) (all []outcome) {
	for _, b := range setbacks {
		for _, op := range b.ops {
			if slices.Contains(everywhere, op) && !slices.ContainsFunc(lives, func(l story) bool { return l.name == one.name }) {
				continue
			}
			for from := tried[op] + 1; from <= plain.calls[op]; from++ {
				if op == "issuer.test" && plain.again[from] {
					continue // a login that's one of several in a row
				}
				s := newTale(t)
				s.op, s.from, s.with, s.once = op, from, b.fault, b.once
				s.replay(one)
				name := fmt.Sprintf("%s, %s %d %s", one.name, op, from, b.how)
				if s.over && s.heard == nil && !b.once && !slices.Contains(unheard, op) {
					t.Fatalf("%s: nobody heard of it", name)
				}
				if s.heard != nil && !b.once && slices.Contains(everywhere, op) && !strings.Contains(s.heard.Error(), b.text) {
					t.Fatalf("%s: what was heard is %v", name, s.heard)
				}
				if op == "journal.save" && b.fault.Before != nil && !b.once && len(s.later) > 0 {
					t.Fatalf("%s: then it did %v", name, s.later)
				}
				text := s.outcome()
				written := !slices.Contains(everywhere, op) || b.once || b.fault.Crash && (s.keeper != nil || slices.Contains(savesMatter, one.name))
				if text == "" || !written {
					continue
				}
				if !*update && !strings.Contains(known, "\n"+text) {
					t.Fatalf("%s has an outcome that none has in testdata/setbacks.txt (run with -update if that's right, and read the diff):\n%s", name, text)
				}
				all = append(all, outcome{name, text})
			}
		}
	}
	return all
}

// outcome is what was said and remembered of what went wrong, and what was done in
// the next action. The words are the same for every story: versions and credentials
// are called by the order in which they're named, times are from the action on.
func (s *tale) outcome() string {
	i := slices.IndexFunc(s.acts, func(a act) bool { return a.hit })
	if i < 0 {
		return ""
	}
	a := s.acts[i]
	var out strings.Builder
	if a.err != nil {
		fmt.Fprintf(&out, "\terror: %s%s\n", strings.TrimPrefix(rota.OneLine(a.err.Error()), s.secret.Name+": "), ways(a.err))
	}
	for _, line := range a.said {
		if !strings.Contains(line, " begun ") && !strings.HasSuffix(line, " ok") && !strings.HasPrefix(line, "event: failed ") {
			out.WriteString("\t" + line + "\n")
		}
	}
	fmt.Fprintf(&out, "\tremembered: %s\n", a.memory(s.t))
	if s.with.Before == nil && i+1 < len(s.acts) { // what wasn't done is done later
		then := s.acts[i+1]
		fmt.Fprintf(&out, "\tthen %s: %s\n", then.what, then.did())
	}
	return inGeneral(s.readable(out.String()))
}

func ways(err error) string {
	var out string
	for _, r := range rota.RemediesOf(err) {
		out += fmt.Sprintf(" → %s %q", r.Action, r.Text)
	}
	return out
}

// did is what was done in an action, or failed.
func (a act) did() string {
	var out []string
	for _, line := range a.said {
		f := strings.Fields(line)
		switch {
		case f[0] != "audit:" || slices.Contains(f, "begun"):
		case slices.Contains(f, "ok"):
			out = append(out, f[1])
		default:
			out = append(out, f[1]+"!")
		}
	}
	return strings.Join(out, " ")
}

// follows are the parts of the memory that follow from what the audit says was done.
var follows = []string{"status", "in_force", "credential_id", "delivered", "reloaded", "served_at", "tested_at", "base", "asked", "failure", "next_at", "trouble"}

// memory is what is remembered after an action, without what went well before.
func (a act) memory(t *testing.T) string {
	var v map[string]any
	if err := json.Unmarshal([]byte(a.remembered), &v); err != nil {
		t.Fatal(err)
	}
	var out []string
	if f, ok := v["failure"].(map[string]any); ok {
		again, err := time.Parse(time.RFC3339Nano, fmt.Sprint(f["retry_at"]))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s failed %v times (%s), again %s", f["step"], f["attempts"], f["class"], since(again.Sub(a.at).Round(time.Minute))))
	}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				if !slices.Contains(follows, k) {
					walk(strings.TrimPrefix(path+"."+k, "."), v[k])
				}
			}
		case []any:
			for i, v := range v {
				walk(fmt.Sprintf("%s.%d", path, i), v)
			}
		case string:
			at, err := time.Parse(time.RFC3339Nano, v)
			if err == nil && at.Before(a.at.Add(-rota.Day)) {
				return
			}
			if err == nil {
				v = since(at.Sub(a.at).Round(time.Minute))
			}
			out = append(out, path+" "+v)
		case nil:
		default:
			out = append(out, path+" "+fmt.Sprint(v))
		}
	}
	walk("", v)
	if _, later := v["next_at"]; !later {
		out = append(out, "looks at once")
	}
	if status, ok := v["status"].(map[string]any); ok && status["begun_at"] != nil {
		out = append(out, "begun")
	}
	return strings.Join(out, ", ")
}

func since(d time.Duration) string {
	switch {
	case d == 0:
		return "now"
	case d < 0:
		return rota.FormatDuration(-d) + " ago"
	}
	return "in " + rota.FormatDuration(d)
}

var named = regexp.MustCompile(`\b(rota-[0-9a-z]+|announced-[0-9]+|KEY[0-9]+|theirs-?[0-9]*)\b`)

func inGeneral(text string) string {
	names := map[string]string{}
	return named.ReplaceAllStringFunc(text, func(name string) string {
		if names[name] == "" {
			kind := "V"
			if strings.HasPrefix(name, "KEY") {
				kind = "K"
			}
			names[name] = fmt.Sprintf("%s%d", kind, len(names)+1)
		}
		return names[name]
	})
}
