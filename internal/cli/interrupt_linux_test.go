package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal opens a terminal: what is written to the first end is typed at the
// second.
func terminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatalf("no terminals here: %v", err)
	}
	t.Cleanup(func() { _ = person.Close() })
	number, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = program.Close() })
	return person, program
}

func echoes(t *testing.T, f *os.File) bool {
	t.Helper()
	s, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return s.Lflag&unix.ECHO != 0
}

// watcher calls a function as soon as a text was written.
type watcher struct {
	bytes.Buffer
	text string
	then func()
}

func (w *watcher) Write(p []byte) (int, error) {
	n, err := w.Buffer.Write(p)
	if strings.Contains(w.String(), w.text) && w.then != nil {
		w.then()
		w.then = nil
	}
	return n, err
}

// interrupted runs a command that is to be interrupted as soon as stderr holds
// the text, and wants it to end at once with nothing done.
func interrupted(t *testing.T, stdin io.Reader, text string, interrupt func(cancel func()), args ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stderr := &watcher{text: text, then: func() { interrupt(cancel) }}
	dir := t.TempDir()
	path := filepath.Join(dir, "rota.yaml")
	const config = "connections: {prod: {aws: {}}}\nsecrets: [{name: cms, issuer: {connection: prod, iam_access_key: {user: cms}}}]\n"
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout bytes.Buffer
	p := Program{Stdin: stdin, Stdout: &stdout, Stderr: stderr}
	if code := p.Run(ctx, append(args, "-c", path, "--data-dir", filepath.Join(dir, "data"))); code != exitUsage {
		t.Errorf("exit code %d, want %d:\n%s", code, exitUsage, stderr.String())
	}
	said := stderr.String()
	if !strings.HasSuffix(said, "rota: interrupted: nothing was done\n") || strings.Contains(said, "goes on with it") || stdout.Len() > 0 {
		t.Errorf("it says %q and %q", stdout.String(), said)
	}
	if _, err := os.Stat(filepath.Join(dir, "data")); !os.IsNotExist(err) {
		t.Errorf("there is a data folder: %v", err)
	}
}

func TestAQuestionCanBeInterrupted(t *testing.T) {
	_, tty := terminal(t)
	interrupted(t, tty, "[y/N]", func(cancel func()) { cancel() }, "key", "rotate")
}

// neverRead is a pipe that nobody writes to. It tells when it is read.
type neverRead struct{ read func() }

func (r neverRead) Read([]byte) (int, error) {
	r.read()
	select {}
}

func TestStandardInputCanBeInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stderr bytes.Buffer
	code := Program{Stdin: neverRead{cancel}, Stdout: io.Discard, Stderr: &stderr}.Run(ctx, []string{"adopt", "cms", "--from", "-"})
	if want := "rota: interrupted: nothing was done\n"; code != exitUsage || stderr.String() != want {
		t.Errorf("exit code %d and %q, want %d and %q", code, stderr.String(), exitUsage, want)
	}
}

// The terminal must show again what is typed.
func TestAHiddenPromptCanBeInterrupted(t *testing.T) {
	person, tty := terminal(t)
	if _, err := person.WriteString("AKIAIOSFODNN7EXAMPLE\n"); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	interrupted(t, tty, "secret_access_key: ", func(cancel func()) {
		go func() {
			defer close(done)
			for end := time.Now().Add(10 * time.Second); echoes(t, tty) && time.Now().Before(end); {
				time.Sleep(time.Millisecond)
			}
			cancel()
		}()
	}, "adopt", "cms", "--from", "-")
	<-done
	if !echoes(t, tty) {
		t.Error("the terminal hides what is typed")
	}
}

// A pipe that nobody writes to stands for a rota.yaml that takes long to read.
func TestReadingTheConfigurationCanBeInterrupted(t *testing.T) {
	for _, command := range []string{"validate", "check", "plan", "run", "serve"} {
		t.Run(command, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "rota.yaml")
			if err := unix.Mkfifo(path, 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var stdout, stderr bytes.Buffer
			ended := make(chan int, 1)
			go func() {
				ended <- Program{Stdout: &stdout, Stderr: &stderr}.Run(ctx, []string{command, "-c", path, "--data-dir", filepath.Join(dir, "data")})
			}()
			var writer *os.File
			for deadline := time.Now().Add(time.Minute); writer == nil; runtime.Gosched() {
				if time.Now().After(deadline) {
					t.Fatal("nothing reads the file")
				}
				writer, _ = os.OpenFile(path, os.O_WRONLY|unix.O_NONBLOCK, 0)
			}
			defer func() { _ = writer.Close() }() // so that the reader that was left behind ends too
			cancel()
			if code := <-ended; code != exitUsage || stdout.Len() > 0 || !strings.HasSuffix(stderr.String(), "rota: interrupted: nothing was done\n") {
				t.Errorf("exit code %d, %q and %q", code, stdout.String(), stderr.String())
			}
		})
	}
}
