//go:build unix

package config

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Somebody who can write to a file's folder can put a pipe in its place, at any
// moment. A reader that waits for the other end would wait forever.
func TestNobodyHoldsUpTheReaderOfAFile(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	within := func(what string, f func()) {
		t.Helper()
		done := make(chan struct{})
		go func() { defer close(done); f() }()
		select {
		case <-done:
		case <-time.After(2 * pipeWithin):
			t.Fatal(what + " waits")
		}
	}
	within("an included file", func() {
		if _, err := readIncluded(pipe, 100); err == nil {
			t.Error("a pipe was included")
		}
	})
	within("a value that nobody writes", func() {
		if data, _, err := readFile(pipe); err == nil && len(data) > 0 {
			t.Errorf("got %q", data)
		}
	})
	within("a value that somebody writes half of", func() {
		w, err := os.OpenFile(pipe, os.O_RDWR, 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = w.Close() }()
		if _, err := w.WriteString("half"); err != nil {
			t.Error(err)
		}
		if data, _, err := readFile(pipe); err == nil {
			t.Errorf("got %q", data)
		}
	})
	within("a value that somebody writes", func() {
		go func() { _ = os.WriteFile(pipe, []byte("hunter-22"), 0) }()
		if data, _, err := readFile(pipe); err != nil || string(data) != "hunter-22" {
			t.Errorf("got %q, %v", data, err)
		}
	})
}
