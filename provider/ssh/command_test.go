package ssh

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/providertest"
)

func commandWith(t testing.TB, c *Connection, cfg CommandConfig) rota.Reloader {
	t.Helper()
	r, err := c.Command(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTheCommandKeepsTheContract(t *testing.T) {
	s := testenv.SSHD(t, testenv.SSHOptions{Gate: true})
	providertest.Reloader(t, func(t *testing.T) providertest.ReloaderFixture {
		dir := t.TempDir()
		inject := injectAt(t, s, map[string][]string{"reload": {"reload"}})
		reload := filepath.Join(dir, "reload")
		write(t, reload, "#!/bin/sh\n[ ! -e "+dir+"/sick ] || exit 3\nprintf %s \"$ROTA_VERSION\" >"+dir+"/version.$$ && mv "+dir+"/version.$$ "+dir+"/version\n", 0o755)
		return providertest.ReloaderFixture{
			Reloader: commandWith(t, to(t, s), CommandConfig{Run: []string{reload}}),
			Inject: func(op string, kind providertest.FaultKind) bool {
				// The gate can't run what is told by its standard input whether to go on.
				return (kind == providertest.FailBefore || kind == providertest.Hang) && inject(op, kind)
			},
			Running: func() (string, error) {
				text, err := os.ReadFile(filepath.Join(dir, "version"))
				return string(text), err
			},
			Sicken: func() { write(t, filepath.Join(dir, "sick"), "", 0o600) },
		}
	})
}

func TestACommandThatFailsSaysWhy(t *testing.T) {
	s := testenv.SSHD(t, testenv.SSHOptions{})
	c := to(t, s)
	reload := func(run ...string) error {
		return commandWith(t, c, CommandConfig{Run: run}).Reload(t.Context(), rota.ReloadRequest{Secret: "prod/app", Version: "v1"})
	}
	wantError(t, reload("sh", "-c", `echo "\033[31mtwo\033[0m" >&2; exit 7`), rota.ClassWait, "exit status 7: two", "fix what the command reports")
	if err := reload("sh", "-c", "echo one; echo two >&2; exit 7"); !strings.HasSuffix(err.Error(), ": one\ntwo") {
		t.Errorf("got %v", err)
	}
	wantError(t, reload("/no/such/program"), rota.ClassWait, "exit status 127")
	// A value in several lines is still whole when it's taken out. Half a line isn't shown.
	err := reload("sh", "-c", "printf 'hush-4Kd91-long-enough-to-fold' | fold -w 5; echo; exit 1")
	value := rota.NewCredential(map[string]string{rota.FieldPassword: "hush-4Kd91-long-enough-to-fold"})
	if shown := rota.Sanitize(err, value).Error(); strings.Contains(shown, "hush") || strings.Contains(shown, "fold") {
		t.Errorf("parts of a value are shown: %s", shown)
	}
	err = reload("sh", "-c", "i=0; while [ $i -lt 4000 ]; do echo line $i; i=$((i+1)); done; exit 1")
	if text := err.Error(); strings.Contains(text, "line 9\n") || !strings.Contains(text, ": …line ") || !strings.HasSuffix(text, "line 3999") {
		t.Errorf("not the end of the output: %.200s", text)
	}
	// Arguments arrive as they are, and standard input is empty.
	if err := reload("sh", "-c", `[ "$1" = "it's \$HOME * " ] && [ -z "$(cat)" ] && [ "$ROTA_SECRET" = prod/app ] && [ "$ROTA_VERSION" = v1 ]`, "sh", "it's $HOME * "); err != nil {
		t.Error(err)
	}
	// What Rota itself logs in with is never shown.
	first := strings.Split(c.cfg.PrivateKey, "\n")[1]
	cfg := settings(s)
	cfg.Password = "own-canary-8d2"
	err = commandWith(t, connectWith(t, cfg), CommandConfig{Run: []string{"sh", "-c", "echo own-canary-8d2; exit 1"}}).Reload(t.Context(), rota.ReloadRequest{})
	if err == nil || strings.Contains(err.Error(), "own-canary") || strings.Contains(err.Error(), first) {
		t.Errorf("got %v", err)
	}
}

func TestACommandThatTakesTooLong(t *testing.T) {
	c := to(t, testenv.SSHD(t, testenv.SSHOptions{}))
	mark := filepath.Join(t.TempDir(), "ended")
	r := commandWith(t, c, CommandConfig{Run: []string{"sh", "-c", "trap 'echo >" + mark + "; exit' TERM; while :; do sleep 0.05; done"}, Timeout: 300 * time.Millisecond})
	err := r.Reload(t.Context(), rota.ReloadRequest{})
	wantError(t, err, rota.ClassWait, "no response in time", "longer timeout")
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(mark); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the command wasn't told to end")
		}
	}
}

func TestACommandRunsOnOneHostAfterTheOther(t *testing.T) {
	a, b := testenv.SSHD(t, testenv.SSHOptions{}), testenv.SSHD(t, testenv.SSHOptions{})
	c := to(t, a, b)
	log := filepath.Join(t.TempDir(), "log")
	r := commandWith(t, c, CommandConfig{Run: []string{"sh", "-c", "echo >>" + log + "; exit 1"}})
	err := r.Reload(t.Context(), rota.ReloadRequest{})
	wantError(t, err, rota.ClassWait, "on "+a.Addr)
	if read(t, log) != "\n" {
		t.Error("it went on although the first host failed")
	}
}

func TestPreflightOfACommand(t *testing.T) {
	bin := t.TempDir()
	// A stand-in for sudo, which allows one command only.
	write(t, filepath.Join(bin, "sudo"), "#!/bin/sh\ncase \"$*\" in '-n -l -u root -- systemctl reload app') echo /usr/bin/systemctl reload app ;; *) echo 'sudo: a password is required' >&2; exit 1 ;; esac\n", 0o755)
	c := to(t, testenv.SSHD(t, testenv.SSHOptions{Path: bin}))
	for name, test := range map[string]struct {
		cfg CommandConfig
		ok  bool
	}{
		"a program":                      {CommandConfig{Run: []string{"ls"}}, true},
		"no such program":                {CommandConfig{Run: []string{"no-such-program"}}, false},
		"what sudo allows":               {CommandConfig{Run: []string{"systemctl", "reload", "app"}, RunAs: "root"}, true},
		"what sudo doesn't allow":        {CommandConfig{Run: []string{"systemctl", "stop", "app"}, RunAs: "root"}, false},
		"the connection's user, by name": {CommandConfig{Run: []string{"ls"}, RunAs: c.cfg.User}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "what sudo allows" && c.cfg.User == "root" || name == "what sudo doesn't allow" && c.cfg.User == "root" {
				test.cfg.RunAs = "nobody"
				write(t, filepath.Join(bin, "sudo"), strings.ReplaceAll(read(t, filepath.Join(bin, "sudo")), "-u root", "-u nobody"), 0o755)
			}
			findings := commandWith(t, c, test.cfg).(rota.Preflighter).Preflight(t.Context())
			last := findings[len(findings)-1]
			if last.OK != test.ok || !test.ok && len(last.Remedies) == 0 {
				t.Errorf("found %+v", findings)
			}
		})
	}
	if _, err := c.Command(CommandConfig{}); err == nil || errors.Is(err, rota.ErrNotFound) {
		t.Errorf("no program: %v", err)
	}
}
