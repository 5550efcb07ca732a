package command

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
)

// Programs that don't speak the protocol get no values, but run as Rota's user: who
// could replace one would have all that Rota has.
func TestNobodyElseChoosesWhatRuns(t *testing.T) {
	script := func(t *testing.T, path, first string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(path, []byte(first+"\nexit 0\n"), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	folder := func(t *testing.T, path string, mode os.FileMode) string {
		t.Helper()
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	link := func(t *testing.T, to, at string) {
		t.Helper()
		if err := os.Symlink(to, at); err != nil {
			t.Fatal(err)
		}
	}
	for name, prepare := range map[string]func(t *testing.T, dir string) Config{
		"a program that others can write to": func(t *testing.T, dir string) Config {
			script(t, filepath.Join(dir, "p"), "#!/bin/sh", 0o777)
			return Config{Command: []string{filepath.Join(dir, "p")}}
		},
		"a link by way of a folder that others can write to": func(t *testing.T, dir string) Config {
			open := folder(t, filepath.Join(dir, "open"), 0o777)
			script(t, filepath.Join(dir, "p"), "#!/bin/sh", 0o755)
			link(t, filepath.Join(dir, "p"), filepath.Join(open, "second"))
			link(t, "open/second", filepath.Join(dir, "first"))
			return Config{Command: []string{filepath.Join(dir, "first")}}
		},
		"a script that's named relative to its folder": func(t *testing.T, dir string) Config {
			script(t, filepath.Join(dir, "p"), "", 0o666)
			return Config{Command: []string{"sh", "p"}, Dir: dir}
		},
		"an interpreter": func(t *testing.T, dir string) Config {
			open := folder(t, filepath.Join(dir, "open"), 0o777)
			link(t, "/bin/sh", filepath.Join(open, "sh"))
			script(t, filepath.Join(dir, "p"), "#!"+filepath.Join(open, "sh")+" -e", 0o755)
			return Config{Command: []string{filepath.Join(dir, "p")}}
		},
		"an interpreter that env finds": func(t *testing.T, dir string) Config {
			open := folder(t, filepath.Join(dir, "open"), 0o777)
			link(t, "/bin/sh", filepath.Join(open, "myshell"))
			script(t, filepath.Join(dir, "p"), "#!/usr/bin/env -S A=b myshell", 0o755)
			return Config{Command: []string{filepath.Join(dir, "p")}, Env: map[string]string{"PATH": open + ":" + os.Getenv("PATH")}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, err := filepath.EvalSymlinks(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			for at := dir; strings.HasPrefix(at, os.TempDir()+"/"); at = filepath.Dir(at) {
				folder(t, at, 0o755)
			}
			c := prepare(t, dir)
			reloader, err := NewReloader(c)
			if err != nil {
				t.Fatal(err)
			}
			notifier, err := NewNotifier(c)
			if err != nil {
				t.Fatal(err)
			}
			for _, err := range []error{
				reloader.Reload(t.Context(), rota.ReloadRequest{Secret: "prod/x", Version: "v"}),
				notifier.Notify(t.Context(), rota.Event{Secret: "prod/x"}),
			} {
				if err == nil || rota.ClassOf(err) != rota.ClassStop || !strings.Contains(err.Error(), "could change what it does") && !strings.Contains(err.Error(), "so change what it does") {
					t.Errorf("want an error of class stop, got %v", err)
				} else if len(rota.RemediesOf(err)) == 0 {
					t.Errorf("no remedy: %v", err)
				}
			}
			if f := reloader.(rota.Preflighter).Preflight(t.Context())[0]; f.OK || len(f.Remedies) == 0 {
				t.Errorf("a preflight finds no fault: %+v", f)
			}
		})
	}
}

// A link in a sticky folder can be led elsewhere by whoever made it.
func TestALinkOfSomebodyElsesIsNotFollowed(t *testing.T) {
	if os.Geteuid() != 0 {
		testenv.Missing(t, "root", "only root can give links away")
	}
	dir, err := os.MkdirTemp("", "rota-links-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	at := filepath.Join(dir, "p")
	if err := os.Symlink("/bin/true", at); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, os.ModeSticky|0o777); err != nil {
		t.Fatal(err)
	}
	r, err := NewReloader(Config{Command: []string{at}})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Reload(t.Context(), rota.ReloadRequest{}); err != nil {
		t.Fatalf("one's own link: %v", err)
	}
	if err := os.Lchown(at, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if err := r.Reload(t.Context(), rota.ReloadRequest{}); err == nil || !strings.Contains(err.Error(), "belongs to user 65534") {
		t.Errorf("somebody else's: %v", err)
	}
}

func TestAnswersThatReadersDisagreeAbout(t *testing.T) {
	for name, c := range map[string]struct{ answer, says string }{
		"a field twice":                        {`{"protocol": 1, "verb": "create", "verb": "create", "credential": {"id": "t2", "token": "a"}}`, "twice"},
		"a field in two cases":                 {`{"protocol": 1, "verb": "create", "credential": {"id": "t2", "token": "a"}, "Credential": {"id": "t2", "token": "b"}}`, "twice"},
		"a credential's field twice":           {`{"protocol": 1, "verb": "create", "credential": {"id": "t1", "id": "t2", "token": "a"}}`, "twice"},
		"an error twice, after a success":      {`{"protocol": 1, "verb": "create", "error": null, "error": {"class": "stop", "message": "x"}}`, "twice"},
		"what isn't UTF-8":                     {"{\"protocol\": 1, \"verb\": \"create\", \"credential\": {\"id\": \"t2\", \"token\": \"a\xff\"}}", "UTF-8"},
		"a thousand levels":                    {strings.Repeat("[", 20000), "isn't JSON"},
		"an id with a line break":              {`{"protocol": 1, "verb": "create", "credential": {"id": "t2\nfake log line", "token": "a"}}`, "control characters"},
		"an id that turns the text around":     {`{"protocol": 1, "verb": "create", "credential": {"id": "t\u202e2", "token": "a"}}`, "control characters"},
		"an id that's too long":                {`{"protocol": 1, "verb": "create", "credential": {"id": "` + strings.Repeat("t", 2000) + `", "token": "a"}}`, "longer than 1024"},
		"the id of one that somebody else has": {`{"protocol": 1, "verb": "create", "credential": {"id": "t1", "token": "a"}}`, "existed before"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := speaking(t, `case $(cat) in *describe*) cat "$DIR/describe";; *) cat "$DIR/answer";; esac`)
			describes(t, cfg)
			if err := os.WriteFile(filepath.Join(cfg.Env["DIR"], "answer"), []byte(c.answer), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := issuing(t, cfg).Create(t.Context(), rota.CreateRequest{Version: version, Taken: []string{"t1"}})
			if err == nil || rota.ClassOf(err) != rota.ClassStop || !strings.Contains(err.Error(), c.says) || len(rota.RemediesOf(err)) == 0 {
				t.Errorf("want an error of class stop that says %q, got %s: %v", c.says, rota.ClassOf(err), err)
			}
		})
	}
}

func TestAListWithIdsThatCannotBeShown(t *testing.T) {
	for answer, says := range map[string]string{
		`[{"id": "a\u001b[2J"}]`:     "control characters",
		`[{"id": ""}]`:               "empty",
		`[{"id": "a"}, {"id": "a"}]`: "two credentials with one id",
		`[{"id": "a", "ID": "b"}]`:   "twice",
	} {
		i := issuing(t, speaking(t, `cat >/dev/null; echo '{"protocol": 1, "verb": "list", "credentials": `+answer+`}'`))
		if _, err := i.(rota.Lister).List(t.Context()); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: want an error that says %q, got %v", answer, says, err)
		}
	}
}

// A program that became another user, as with sudo, can't be ended by Rota's. It's
// given up, so that the secret's turn isn't held for good.
func TestAProgramThatCannotBeEndedIsGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, "sleep", "600")
	cmd.Cancel = func() error { return os.ErrPermission }
	cancelled := time.Now()
	time.AfterFunc(50*time.Millisecond, cancel)
	err, escaped := wait(ctx, cmd, 100*time.Millisecond)
	if !escaped || err == nil || time.Since(cancelled) > 30*time.Second {
		t.Errorf("escaped %t after %s: %v", escaped, time.Since(cancelled), err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	o := outcome{escaped: true}
	if !strings.Contains(o.hint(), "another user") || !strings.Contains(o.verb(), "given up") {
		t.Errorf("%q, %q", o.verb(), o.hint())
	}
}

func TestOutputIsHarmless(t *testing.T) {
	for text, want := range map[string]string{
		"\x1b[31mred\x1b[0m":               "red",
		"done\rfailed, honestly\b\b":       "done\nfailed, honestly",
		"a\u009b2J\u0085b\x00\x7f":         "a2Jb",
		"safe\u202etxt.exe\u2066\u200b":    "safetxt.exe",
		"one\r\ntwo\tthree \xff ünïcode ✓": "one\ntwo\tthree � ünïcode ✓",
	} {
		if got := clean(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

// A message or an output that's cut in the middle of a value shows no half of it.
func TestHalfAValueIsntShown(t *testing.T) {
	const value = "correct-horse-battery-staple"
	secret := rota.NewCredential(map[string]string{rota.FieldPassword: value})
	for shift := range len(value) {
		out := &tail{}
		_, _ = out.Write([]byte(value + strings.Repeat("\x1b[0m", (kept-shift)/4) + strings.Repeat("x", (kept-shift)%4)))
		got := rota.Sanitize(errors.New("exit status 1"+out.String()), secret).Error()
		if len(value)-shift > 3 && strings.Contains(got, value[len(value)-4:]) {
			t.Fatalf("%d bytes of it are gone: %.80q", shift, got)
		}
		p := &program{runner: &runner{config: Config{Name: "p"}}}
		err := p.reported("create", &problem{Message: strings.Repeat("m", maxMessage-shift) + value}, []rota.Credential{secret})
		if shift > 3 && strings.Contains(err.Error(), value[:4]) {
			t.Fatalf("%d bytes of it are left: %q", shift, err.Error()[maxMessage-40:])
		}
	}
}
