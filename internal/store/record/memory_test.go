package record_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rota-dev/rota/internal/store/record"
	"github.com/rota-dev/rota/internal/store/record/recordtest"
)

// clock is a clock that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func TestMemory(t *testing.T) {
	recordtest.Run(t, func(*testing.T) recordtest.Fixture {
		c := &clock{now: recordtest.Start}
		m := &record.Memory{Now: c.Now}
		return recordtest.Fixture{Records: m, Entries: m.Entries, Advance: c.Add}
	})
}

func TestStaleShowsTheStateBeforeTheLastWrite(t *testing.T) {
	m := &record.Memory{}
	for i, name := range []string{"a", "b", "a"} {
		err := m.Update(t.Context(), name, func(c *record.Change) error {
			c.Description = fmt.Sprint(i)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	stale := m.Stale()
	if r, err := stale.View(t.Context(), "a"); err != nil || r.Description != "0" {
		t.Errorf("a: %q, %v", r.Description, err)
	}
	if _, err := stale.View(t.Context(), "b"); err == nil {
		t.Error("b is there, whose only write was its creation")
	}
	all, err := stale.List(t.Context(), record.Page{Limit: 10})
	if err != nil || len(all) != 2 || all[0].Description != "0" || all[1].Description != "1" {
		t.Errorf("listed %+v, %v; only the last write is not seen", all, err)
	}
}

func TestAValueNeverPrints(t *testing.T) {
	text := "hush-hush"
	for _, v := range []record.Value{{Text: &text}, {Binary: []byte(text)}} {
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			out := fmt.Sprintf(format, v) + fmt.Sprintf(format, struct{ V record.Value }{v})
			if strings.Contains(out, "hush") || strings.Contains(out, fmt.Sprintf("%x", text)) {
				t.Errorf("%s prints %s", format, out)
			}
		}
	}
}
