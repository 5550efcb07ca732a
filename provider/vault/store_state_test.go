package vault

import (
	"testing"
	"time"
)

// A server that lags behind shows an entry from before what the state knows: that's
// nobody's new value.
func TestAnOlderEntryIsRecognized(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		b    both
		want bool
	}{
		"older than the state":  {both{state: state{Serial: 5}, stateCreated: now, entry: snapshot{version: 4, created: now.Add(-time.Hour)}}, true},
		"made anew since":       {both{state: state{Serial: 5}, stateCreated: now, entry: snapshot{version: 1, created: now.Add(time.Hour)}}, false},
		"as the state knows it": {both{state: state{Serial: 5}, stateCreated: now, entry: snapshot{version: 5, created: now.Add(-time.Hour)}}, false},
		"gone":                  {both{state: state{Serial: 5}, stateCreated: now}, false},
	} {
		if got := c.b.outdated(); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
