package crash

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// only plays only the cells whose names contain a text, and prints their
// stories.
var only = flag.String("cell", "", "play only the cells whose name contains this, and tell what happens")

func TestMain(m *testing.M) {
	// Ignores the machine's own AWS configuration.
	nowhere := filepath.Join(os.TempDir(), "nowhere")
	for name, value := range map[string]string{
		"AWS_CONFIG_FILE": nowhere, "AWS_SHARED_CREDENTIALS_FILE": nowhere, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_PROFILE": "", "AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "",
		"AWS_SESSION_TOKEN": "", "AWS_ENDPOINT_URL": "", "AWS_CA_BUNDLE": "",
	} {
		_ = os.Setenv(name, value)
	}
	code := m.Run()
	shared.Stop()
	sharedMariaDB.Stop()
	sharedMySQL.Stop()
	sharedRabbitMQ.Stop()
	os.Exit(code)
}

// cell is one call of a life failing in one way.
type cell struct {
	life life
	plan plan
}

func (c cell) String() string {
	lost := ""
	if c.plan.lose {
		lost = ", and the data folder is lost"
	}
	return fmt.Sprintf("%s, %s: call %d, %s, %s%s", c.life.name, c.plan.step, c.plan.at, c.plan.call, c.plan.kind, lost)
}

// verdict is how a cell ended.
type verdict struct {
	held  string // the accepted hold it ended with, "" if it continued
	later bool   // it continued a grace period later
	err   error
}

// matrix plays every cell of some lives, several concurrently, and prints the
// counts.
func matrix(t *testing.T, name string, atOnce int, lives ...life) {
	t.Helper()
	var cells []cell
	calls := 0
	for _, l := range lives {
		recorded, stepOf := record(t, l)
		calls += len(recorded)
		for at, c := range recorded {
			for _, k := range l.kinds(c) {
				p := plan{at: at, step: stepOf[at], call: c, kind: k, timeout: slowTimeout}
				cells = append(cells, cell{l, p})
				if p.lose = l.loses; p.lose {
					cells = append(cells, cell{l, p})
				}
			}
		}
	}
	if *only != "" {
		cells = slices.DeleteFunc(cells, func(c cell) bool { return !strings.Contains(c.String(), *only) })
	}
	held, later := map[string]int{}, 0
	used := map[string]bool{}
	var mu sync.Mutex
	var next, on atomic.Int64
	var workers sync.WaitGroup
	for range min(atOnce, len(cells)) {
		workers.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(cells) {
					return
				}
				v := playSafely(t, cells[i])
				mu.Lock()
				used[fmt.Sprint(cells[i].plan.kind, cells[i].plan.lose)] = true
				switch {
				case v.err != nil:
					t.Errorf("%s:\n\t%v", cells[i], v.err)
				case v.held != "":
					held[v.held]++
				default:
					if v.later {
						later++
					}
					on.Add(1)
				}
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	total := 0
	for _, reason := range slices.Sorted(maps.Keys(held)) {
		t.Logf("held: %d × %s", held[reason], reason)
		total += held[reason]
	}
	t.Logf("count: crash matrix, %s: %d calls × up to %d kinds = %d cells, %d rotated on (%d of them a grace later), %d held", name, calls, len(used), len(cells), on.Load(), later, total)
}

// playSafely turns a panic into a failed cell with its name.
func playSafely(t *testing.T, c cell) (v verdict) {
	defer func() {
		if p := recover(); p != nil {
			v.err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	began := time.Now()
	w := newWorld(t, c.life, c.plan)
	defer func() { w.close() }()
	// On a busy machine another call may be too slow as well: retry once.
	for v = w.play(); c.plan.kind == slow && errors.Is(v.err, errElsewhere) && c.plan.timeout < time.Minute; v = w.play() {
		w.close()
		c.plan.timeout *= 2
		w = newWorld(t, c.life, c.plan)
	}
	if *only != "" {
		t.Logf("%s (%s):\n%s", c, time.Since(began).Round(time.Millisecond), w.story())
	}
	return v
}

// record plays a life without faults and returns its calls, and the step that
// each belongs to.
func record(t *testing.T, l life) ([]call, []string) {
	t.Helper()
	w := newWorld(t, l, plan{at: -1})
	defer w.close()
	if v := w.play(); v.err != nil {
		t.Fatalf("%s without any fault: %v\n%s", l.name, v.err, w.story())
	}
	if *only != "" {
		t.Logf("%s:\n%s", l.name, w.story())
	}
	return w.calls, w.stepOf
}
