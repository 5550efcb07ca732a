//go:build linux

package testenv

import (
	"context"
	"path/filepath"
	"testing"
)

func TestAServerThatIsPausedHasNoThreadThatRuns(t *testing.T) {
	s := MariaDB(t, MariaDBOptions{})
	for range 20 {
		s.Pause(t)
		for _, pid := range s.paused {
			if running, err := threads(pid, func(state string) bool { return state != "T" }); err != nil || running != 0 {
				t.Fatalf("%d threads run, %v", running, err)
			}
			if all, _ := threads(pid, func(string) bool { return true }); all < 2 {
				t.Fatalf("%d threads seen", all)
			}
		}
		s.Resume()
	}
	s.Exec(t, "SELECT 1")
}

func TestAServerEndsWithTheTests(t *testing.T) {
	var c child
	err := c.start(launch{Program: "sleep", Args: []string{"600"}, Log: filepath.Join(t.TempDir(), "log"), Stop: "TERM",
		Ready: func(context.Context) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	c.end() // waits
}
