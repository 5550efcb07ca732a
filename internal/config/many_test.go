package config

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestNotEveryProblemOfAHopelessFileIsReported(t *testing.T) {
	var text strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&text, "unknown%d: 1\n", i)
	}
	_, err := builtin.Parse("rota.yaml", []byte(text.String()))
	all, ok := errors.AsType[Errors](err)
	if !ok || len(all) != 201 {
		t.Fatalf("%d problems are reported: %.100v", len(all), err)
	}
	if last := all[200].Error(); !strings.HasSuffix(last, ": there are more problems than these 200") {
		t.Errorf("the last one says %q", last)
	}
}

func TestAnIncludeDoesNotSearchTheDisk(t *testing.T) {
	for pattern, refused := range map[string]bool{"/*/*/*": true, "a/*/b?/c[1]": true, "nowhere/*/*.yaml": false} {
		_, err := builtin.Parse("rota.yaml", []byte("include: [\""+pattern+"\"]\n"))
		if said := err != nil && strings.Contains(err.Error(), "would search too much of the disk"); said != refused {
			t.Errorf("%s: %v", pattern, err)
		}
	}
}

// Each of these is a megabyte or less that asks for as much work as its author
// could think of.
func TestAHostileFileIsRefusedWithLittleMemory(t *testing.T) {
	const most = 256 << 20 // in bytes, allocated until the file is refused
	laughs := "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
	for i := 1; i < 30; i++ {
		laughs += fmt.Sprintf("a%d: &a%[1]d [%s]\n", i, strings.Repeat(fmt.Sprintf("*a%d,", i-1), 9))
	}
	for name, test := range map[string]struct{ text, want string }{
		"a billion laughs":             {laughs + "secrets: *a29\n", `unknown key "a0"`},
		"an alias repeated":            {"secrets:\n- &s {name: a, issuer: {manual: {what: x}}}\n" + strings.Repeat("- *s\n", 200_000), "aliases aren't supported"},
		"many values of a wrong kind":  {"secrets: [" + strings.Repeat("a,", 400_000) + "]\n", "expected a mapping, found a text"},
		"many incomplete secrets":      {"secrets: [" + strings.Repeat("{},", 250_000) + "]\n", "issuer is missing"},
		"many anchors":                 {"secrets: [" + strings.Repeat("&a {},", 150_000) + "]\n", "issuer is missing"},
		"lists in lists":               {"secrets: " + strings.Repeat("[", 1_000_000), "max depth"},
		"mappings in mappings":         {"secrets: " + strings.Repeat("{a: ", 9_000) + strings.Repeat("}", 9_000), "expected a list"},
		"lists in lists, by lines":     {"secrets:\n" + strings.Repeat("- ", 9_000) + "x\n", "expected a mapping, found a list"},
		"a long name":                  {"secrets:\n- name: " + strings.Repeat("x", 1_000_000) + "\n", "secrets[0]"},
		"a long key":                   {strings.Repeat("x", 1_000_000) + ": 1\n", "unknown key"},
		"a text in many lines":         {"secrets: >\n" + strings.Repeat(" a\n", 300_000), "expected a list, found a text"},
		"more lines than a file holds": {"secrets: []\n" + strings.Repeat("\n", maxParts), "more than 2000000 lines and values"},
		"more values than it holds":    {"secrets: [" + strings.Repeat("a,", maxParts) + "]\n", "more than 2000000 lines and values"},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := builtin.Parse("rota.yaml", []byte(test.text))
			runtime.ReadMemStats(&after)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("refused with %.300v, want %q", err, test.want)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > most {
				t.Errorf("%d MiB were allocated", used>>20)
			}
		})
	}
}

func TestIncludedFilesCountTogether(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.yaml", "b.yaml"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("secrets: []\n"+strings.Repeat("\n", maxParts/2)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err := builtin.Parse(filepath.Join(dir, "rota.yaml"), []byte("include: [a.yaml, b.yaml]\n"))
	if err == nil || !strings.HasSuffix(err.Error(), "b.yaml:1:1: it and what it includes have more than 2000000 lines and values") {
		t.Errorf("refused with %v", err)
	}
}

// A pipe that nobody writes to stands for whatever takes long.
func TestReadingAFileEndsWithItsContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rota.yaml")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := builtin.Load(ctx, path)
		ended <- err
	}()
	writer := readBy(t, path)
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), "config "+path) {
		t.Errorf("it ended with %v", err)
	}
	_ = writer.Close() // the reader that was left behind ends too
}

// readBy waits until something reads a pipe, and returns the pipe's other end.
func readBy(t *testing.T, path string) *os.File {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); runtime.Gosched() {
		if f, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
			return f
		}
	}
	t.Fatal("nothing reads the pipe")
	return nil
}
