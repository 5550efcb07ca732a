package simulate

import (
	"fmt"
	"time"
)

// traceLength is how many lines a violation shows.
const traceLength = 30

// line is one thing that happened. It is formatted only when someone reads it.
type line struct {
	at   time.Time
	who  string
	what string
	a, b string
}

func (l line) String() string {
	s := fmt.Sprintf("%s %-8s %s", l.at.Format("2006-01-02 15:04:05"), l.who, l.what)
	if l.a != "" {
		s += " " + l.a
	}
	if l.b != "" {
		s += ": " + l.b
	}
	return s
}

// trace keeps the last things that happened to a secret.
//
// Turns that did nothing, or ended in the same hold as the last one, leave no
// line.
type trace struct {
	lines [traceLength]line
	n     int
	turn  line   // has started but not done anything yet
	hold  string // the last one
}

func (t *trace) add(l line) {
	if l.what == "turn" && l.a == "run" {
		t.turn = l
		return
	}
	if l.what == "hold" && l.b == t.hold {
		return
	}
	if l.what == "hold" {
		t.hold = l.b
	}
	if t.turn.what != "" && l.who == t.turn.who {
		t.put(t.turn)
	}
	t.turn = line{}
	t.put(l)
}

func (t *trace) put(l line) {
	t.lines[t.n%traceLength] = l
	t.n++
}

func (t *trace) last() []string {
	var out []string
	for i := max(0, t.n-traceLength); i < t.n; i++ {
		out = append(out, t.lines[i%traceLength].String())
	}
	return out
}
