package rest

import (
	"bufio"
	"testing"
)

// A stream doesn't wait for the numbers of entries that are gone to be given again.
func TestAStreamEndsWhenTheAuditGoesBack(t *testing.T) {
	w := startBusy(t, 2)
	for range 10 {
		w.log.add("a", "create")
	}
	lines := bufio.NewScanner(w.get(t, t.Context(), "/v1/events?after=9").Body)
	until(t, lines, "id: 10")
	w.log.add("a", "test")
	w.feed.Poke()
	until(t, lines, "id: 11")

	w.log.goBack(4)
	w.log.add("a", "restore")
	w.feed.Poke()
	for lines.Scan() {
		if line := lines.Text(); line == "id: 5" {
			t.Error("the stream continued among other entries")
		}
	}

	lines = bufio.NewScanner(w.get(t, t.Context(), "/v1/events?after=11").Body)
	until(t, lines, "heartbeat")
	w.log.add("a", "promote")
	w.feed.Poke()
	until(t, lines, "id: 6")
}
