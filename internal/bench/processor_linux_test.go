package bench

import (
	"os"
	"path/filepath"
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
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		b.Fatal(err)
	}
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended meanwhile
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		_, rest, _ := strings.Cut(string(text), ") ") // after the program's name
		fields := strings.Fields(rest)
		first := pid == postmaster
		if !first && fields[1] != strconv.Itoa(postmaster) {
			continue
		}
		times := fields[11:13] // user and system time
		if first {
			times = fields[11:15] // and those of the children that ended
		}
		const tick = 10 * time.Millisecond
		for _, text := range times {
			n, err := strconv.Atoi(text)
			if err != nil {
				b.Fatal(err)
			}
			p.server += time.Duration(n) * tick
		}
	}
	return p
}
