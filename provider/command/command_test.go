package command

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/providertest"
)

// shell is a config that runs a script, with DIR for its files.
func shell(t *testing.T, script string) Config {
	t.Helper()
	return Config{Command: []string{"sh", "-c", script}, Env: map[string]string{"DIR": t.TempDir()}}
}

func reload(t *testing.T, c Config) error {
	t.Helper()
	r, err := NewReloader(c)
	if err != nil {
		t.Fatal(err)
	}
	return r.Reload(t.Context(), rota.ReloadRequest{Secret: "prod/db", Version: "rota-1"})
}

func TestTheReloaderKeepsTheContract(t *testing.T) {
	providertest.Reloader(t, func(t *testing.T) providertest.ReloaderFixture {
		c := shell(t, `
			if [ -e "$DIR/hang" ]; then rm "$DIR/hang"; sleep 600; fi
			if [ -e "$DIR/fail" ]; then rm "$DIR/fail"; exit 3; fi
			printf %s "$ROTA_VERSION" > "$DIR/version.$$" && mv "$DIR/version.$$" "$DIR/version"
			if [ -e "$DIR/lose" ]; then rm "$DIR/lose"; exit 4; fi`)
		r, err := NewReloader(c)
		if err != nil {
			t.Fatal(err)
		}
		mark := func(name string) bool { return os.WriteFile(filepath.Join(c.Env["DIR"], name), nil, 0o600) == nil }
		return providertest.ReloaderFixture{
			Reloader: r,
			Running: func() (string, error) {
				version, err := os.ReadFile(filepath.Join(c.Env["DIR"], "version"))
				return string(version), err
			},
			Sicken: func() { mark("fail") },
			Inject: func(_ string, kind providertest.FaultKind) bool {
				name, ok := map[providertest.FaultKind]string{providertest.FailBefore: "fail", providertest.LoseReply: "lose", providertest.Hang: "hang"}[kind]
				return ok && mark(name)
			},
		}
	})
}

func TestTheNotifierKeepsTheContract(t *testing.T) {
	providertest.Notifier(t, func(t *testing.T) providertest.NotifierFixture {
		c := shell(t, `
			if [ -e "$DIR/hang" ]; then rm "$DIR/hang"; sleep 600; fi
			if [ -e "$DIR/fail" ]; then rm "$DIR/fail"; exit 3; fi
			cat > "$DIR/heard.$$"
			if [ -e "$DIR/lose" ]; then rm "$DIR/lose"; exit 4; fi`)
		n, err := NewNotifier(c)
		if err != nil {
			t.Fatal(err)
		}
		return providertest.NotifierFixture{
			Notifier: n,
			Heard: func(e rota.Event) (bool, error) {
				files, err := filepath.Glob(filepath.Join(c.Env["DIR"], "heard.*"))
				for _, file := range files {
					content, err := os.ReadFile(file)
					if err != nil {
						return false, err
					}
					var heard rota.Event
					if err := json.Unmarshal(content, &heard); err != nil {
						return false, err
					}
					if cmp.Equal(heard, e) {
						return true, nil
					}
				}
				return false, err
			},
			Inject: func(_ string, kind providertest.FaultKind) bool {
				name, ok := map[providertest.FaultKind]string{providertest.FailBefore: "fail", providertest.LoseReply: "lose", providertest.Hang: "hang"}[kind]
				return ok && os.WriteFile(filepath.Join(c.Env["DIR"], name), nil, 0o600) == nil
			},
		}
	})
}

func TestNewRefusesABadConfig(t *testing.T) {
	good := []string{"true"}
	for name, c := range map[string]Config{
		"no program":                 {},
		"an empty program":           {Command: []string{""}},
		"a relative path":            {Command: []string{"./run"}},
		"a relative folder":          {Command: good, Dir: "x"},
		"a negative timeout":         {Command: good, Timeout: -1},
		"a variable without a name":  {Command: good, Env: map[string]string{"": "x"}},
		"a variable with =":          {Command: good, Env: map[string]string{"A=B": "x"}},
		"a variable of Rota's":       {Command: good, Env: map[string]string{"ROTA_SECRET": "x"}},
		"an inherited one of Rota's": {Command: good, Inherit: []string{"ROTA_KEY"}},
		"an argument with NUL":       {Command: []string{"true", "a\x00b"}},
	} {
		if _, err := NewReloader(c); err == nil {
			t.Errorf("a reloader with %s is taken", name)
		}
		if _, err := NewNotifier(c); err == nil {
			t.Errorf("a notifier with %s is taken", name)
		}
	}
}

func TestTheProgramSeesOnlyWhatItMay(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", "hush")
	t.Setenv("APP_REGION", "eu")
	t.Setenv("TZ", "Europe/Berlin")
	c := shell(t, `env > "$DIR/env"; cat > "$DIR/stdin"; printf '%s\n' "$0" "$@" > "$DIR/args"; pwd > "$DIR/pwd"`)
	c.Command = append(c.Command, "zero", "$HOME", "{secret_access_key}", "a b")
	c.Env["TZ"] = "UTC"
	c.Inherit = []string{"APP_REGION", "NOT_SET"}
	c.Dir = t.TempDir()
	if err := reload(t, c); err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		content, err := os.ReadFile(filepath.Join(c.Env["DIR"], name))
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	var names []string
	for line := range strings.Lines(read("env")) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		want := map[string]string{"ROTA_SECRET": "prod/db", "ROTA_VERSION": "rota-1", "TZ": "UTC", "APP_REGION": "eu", "DIR": c.Env["DIR"]}
		if w, ok := want[name]; ok {
			names = append(names, name)
			if value != w {
				t.Errorf("%s is %q, want %q", name, value, w)
			}
		} else if !slices.Contains(inherited, name) && !slices.Contains([]string{"PWD", "OLDPWD", "SHLVL", "_", markVariable}, name) {
			t.Errorf("the program sees %s", name)
		}
	}
	slices.Sort(names)
	if diff := cmp.Diff([]string{"APP_REGION", "DIR", "ROTA_SECRET", "ROTA_VERSION", "TZ"}, names); diff != "" {
		t.Errorf("variables:\n%s", diff)
	}
	if got := read("args"); got != "zero\n$HOME\n{secret_access_key}\na b\n" {
		t.Errorf("arguments were changed: %q", got)
	}
	if got := read("stdin"); got != "" {
		t.Errorf("a reloader's program reads %q", got)
	}
	if got := strings.TrimSpace(read("pwd")); got != c.Dir {
		t.Errorf("it runs in %s", got)
	}
}

func TestAFailureShowsTheEndOfTheOutput(t *testing.T) {
	err := reload(t, shell(t, `i=0; while [ $i -lt 3000 ]; do echo "line $i"; i=$((i+1)); done; echo "pod is ill" >&2; exit 7`))
	if err == nil {
		t.Fatal("exit code 7 is taken for success")
	}
	text := err.Error()
	if !strings.Contains(text, "exit status 7") || !strings.HasSuffix(text, "line 2999\npod is ill") || rota.Hint(rota.RemediesOf(err)) == "" {
		t.Errorf("error: %.200s … %s", text, text[max(0, len(text)-60):])
	}
	if len(text) > kept+200 {
		t.Errorf("the error has %d bytes", len(text))
	}
	if class := rota.ClassOf(err); class != rota.ClassWait {
		t.Errorf("class %q", class)
	}
}

func TestAtTheDeadlineTheWholeGroupIsEnded(t *testing.T) {
	for name, script := range map[string]string{
		"that ends at SIGTERM":       `(exec sleep 600 > "$DIR/alive") & wait`,
		"that ignores SIGTERM":       `trap '' TERM; (trap '' TERM; exec sleep 600 > "$DIR/alive") & wait`,
		"whose child ignores it":     `(trap '' TERM; exec sleep 600 > "$DIR/alive") & wait`,
		"that ended before itself":   `(trap '' TERM; exec sleep 600 > "$DIR/alive") & trap 'exit 0' TERM; wait`,
		"whose child left the group": `setsid sh -c 'trap "" TERM; exec sleep 600 > "$DIR/alive"' & wait`,
	} {
		t.Run("a program "+name, func(t *testing.T) {
			if strings.Contains(script, "setsid") && runtime.GOOS != "linux" {
				return // documented
			}
			c := shell(t, script)
			c.Timeout = 200 * time.Millisecond
			// All who live have the FIFO open; its end is theirs. It's opened at once, or a
			// child that's ended before it opens the FIFO would leave this test waiting.
			path := filepath.Join(c.Env["DIR"], "alive")
			if err := syscall.Mkfifo(path, 0o600); err != nil {
				t.Fatal(err)
			}
			fifo, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = fifo.Close() }()
			r, err := newRunner(c)
			if err != nil {
				t.Fatal(err)
			}
			r.grace = 100 * time.Millisecond
			err = r.run(t.Context(), "reload", nil, nil)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error: %v", err)
			}
			if err := fifo.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(fifo); err != nil {
				t.Errorf("a child lives on: %v", err)
			}
		})
	}
}

func TestOnlyItsOwnTimeoutMayBeTooShort(t *testing.T) {
	const hint = "set a longer timeout"
	c := shell(t, `echo > "$DIR/started"; exec sleep 600`)
	fifo := filepath.Join(c.Env["DIR"], "started")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := NewReloader(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		_, _ = os.ReadFile(fifo) // blocks until the program writes
		cancel()
	}()
	err = r.Reload(ctx, rota.ReloadRequest{Secret: "s", Version: "v"})
	if !errors.Is(err, context.Canceled) || strings.Contains(rota.Hint(rota.RemediesOf(err)), hint) || rota.ClassOf(err) != rota.ClassWait {
		t.Errorf("the caller cancelled: %v", err)
	}

	c = shell(t, `exec sleep 600`)
	c.Timeout = 50 * time.Millisecond
	if err := reload(t, c); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(rota.Hint(rota.RemediesOf(err)), hint) {
		t.Errorf("its own timeout ended it: %v", err)
	}
}

func TestADaemonThatIsLeftBehindIsNotWaitedFor(t *testing.T) {
	c := shell(t, `sleep 600 & echo $! > "$DIR/pid"`)
	r, err := newRunner(c)
	if err != nil {
		t.Fatal(err)
	}
	r.grace = 0
	err = r.run(t.Context(), "reload", nil, nil)
	if err != nil {
		t.Errorf("a program that left a daemon behind failed: %v", err)
	}
	content, err := os.ReadFile(filepath.Join(c.Env["DIR"], "pid"))
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if err := json.Unmarshal(content, &pid); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("the daemon was ended with the program: %v", err)
	}
}

// Its timeout may pass, and its caller may leave, while the output is waited for that
// a child keeps open: the program itself has succeeded.
func TestAProgramThatExitedWith0HasSucceeded(t *testing.T) {
	for name, child := range map[string]string{"a child": "sleep 600 & echo $! > $DIR/pid", "one in a session of its own": "setsid sh -c 'echo $$ > $DIR/pid; exec sleep 600' & until [ -s $DIR/pid ]; do :; done"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := shell(t, child+"\nexit 0")
			c.Timeout = grace // after which the output is waited for a second longer
			started := time.Now()
			if err := reload(t, c); err != nil {
				t.Error(err)
			}
			if took := time.Since(started); took < c.Timeout {
				t.Fatalf("the output was waited for only %s", took)
			}
			content, err := os.ReadFile(filepath.Join(c.Env["DIR"], "pid"))
			if err != nil {
				t.Fatal(err)
			}
			var pid int
			if err := json.Unmarshal(content, &pid); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Errorf("the child was ended: %v", err)
			}
		})
	}
}

func TestPreflightFindsWhatCannotRun(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "plain"), []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]Config{
		"a program that is not there":  {Command: []string{"no-such-program-here"}},
		"a path that is not there":     {Command: []string{filepath.Join(dir, "none")}},
		"a file that is no program":    {Command: []string{filepath.Join(dir, "plain")}},
		"a folder":                     {Command: []string{dir}},
		"a folder that is not there":   {Command: []string{"true"}, Dir: filepath.Join(dir, "none")},
		"a PATH without the program":   {Command: []string{"true"}, Env: map[string]string{"PATH": dir}},
		"a PATH of the working folder": {Command: []string{"true"}, Dir: "/bin", Env: map[string]string{"PATH": "."}},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := NewReloader(c)
			if err != nil {
				t.Fatal(err)
			}
			f := r.(rota.Preflighter).Preflight(t.Context())
			if len(f) != 1 || f[0].OK || rota.Hint(f[0].Remedies) == "" || f[0].Detail == "" {
				t.Errorf("preflight finds %+v", f)
			}
			if err := r.Reload(t.Context(), rota.ReloadRequest{Secret: "s"}); err == nil || rota.ClassOf(err) != rota.ClassStop {
				t.Errorf("reload: want an error of class %q, got %v", rota.ClassStop, err)
			}
		})
	}
}

func TestAFailureShowsNoSequencesForATerminal(t *testing.T) {
	err := reload(t, shell(t, `printf '\033]0;title\007\033[1;31mbad\033[0m \033(Bluck\033[2J\033P1q\033\\\r\nagain'; exit 1`))
	if err == nil || !strings.HasSuffix(err.Error(), ": bad luck\nagain") {
		t.Errorf("error: %q", err)
	}
}

func TestAFailureShowsNoHiddenValue(t *testing.T) {
	const token = "tok+en/with=odd&characters"
	c := shell(t, `echo "bad luck with $TOKEN"; printf %s "$TOKEN" | base64; exit 1`)
	c.Env["TOKEN"], c.Hidden = token, []string{token}
	err := reload(t, c)
	if err == nil || strings.Contains(err.Error(), token) || !strings.Contains(err.Error(), "bad luck with [redacted]") {
		t.Fatalf("error: %v", err)
	}
	if half := base64.StdEncoding.EncodeToString([]byte(token))[:20]; strings.Contains(err.Error(), half) {
		t.Errorf("error: %v", err)
	}
	if rota.ClassOf(err) != rota.ClassWait {
		t.Errorf("class %q", rota.ClassOf(err))
	}
	// What is left of a line that was cut off at the beginning is not shown.
	c = shell(t, `i=0; while [ $i -lt 1000 ]; do printf '%s' "$TOKEN"; i=$((i+1)); done; echo; echo the end; exit 1`)
	c.Env["TOKEN"], c.Hidden = token, []string{token}
	if err := reload(t, c); err == nil || !strings.HasSuffix(err.Error(), ": …the end") {
		t.Errorf("error: %v", err)
	}
}
