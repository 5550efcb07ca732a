package bench

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// processor is processor time, of this process and of a server's processes.
type processor struct{ own, server time.Duration }

func (p processor) since(before processor) processor {
	return processor{own: p.own - before.own, server: p.server - before.server}
}

func (p processor) plus(q processor) processor {
	return processor{own: p.own + q.own, server: p.server + q.server}
}

// used reads how much processor time was used so far. The server's is that of
// its first process, of the sessions that ended, and of those that are there.
func used(b *testing.B, postmaster int) processor {
	b.Helper()
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		b.Fatal(err)
	}
	p := processor{own: time.Duration(own.Utime.Nano() + own.Stime.Nano())}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", postmaster))
	if err != nil {
		b.Fatal(err)
	}
	p.server = ticks(b, postmaster, 4) // and of the children that ended
	for _, child := range strings.Fields(string(children)) {
		pid, err := strconv.Atoi(child)
		if err != nil {
			b.Fatal(err)
		}
		p.server += ticks(b, pid, 2)
	}
	return p
}

// ticks adds up the first n of a process's times: in user mode and in the
// system, then both of its children that ended. It is 0 for one that is no
// longer there.
func ticks(b *testing.B, pid, n int) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ") // after the program's name
	const first, tick = 11, 10 * time.Millisecond
	var sum time.Duration
	for _, field := range strings.Fields(rest)[first : first+n] {
		count, err := strconv.Atoi(field)
		if err != nil {
			b.Fatal(err)
		}
		sum += time.Duration(count) * tick
	}
	return sum
}
