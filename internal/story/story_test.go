package story

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota/internal/testenv"
)

var program string

func TestMain(m *testing.M) { os.Exit(testenv.MainWithProgram(m, &program)) }

// The password goes from the database to a row and to a host, and whatever fails on
// the way, the old one stays until the host has reloaded with the new one. Of the
// page, only hosts, folders, the host's group and unused_for are the test's. A person
// retires the old password rather than wait for its grace period. sudo and systemctl
// are stand-ins: the first runs what it's told, the second logs in with what the file
// holds, as the application would.
func TestAPasswordGoesFromADatabaseToARowAndAHost(t *testing.T) {
	w := newWorld(t)
	w.rota(0, "check")
	w.rota(0, "run")
	first := w.everywhere("orders_a", "orders_b")

	t.Run("a reload that fails holds the old password", func(t *testing.T) {
		w := w.in(t)
		w.touch("ill")
		out := w.rota(1, "rotate", "prod/orders-db", "--yes")
		for _, words := range []string{"prod/orders-db", "ssh web", "the application is ill"} {
			if !strings.Contains(out, words) {
				t.Errorf("no %q in: %s", words, out)
			}
		}
		for range 3 {
			w.rota(1, "run", "prod/orders-db")
			w.rota(1, "deactivate", "prod/orders-db", "--yes")
		}
		w.login(first)
		w.login(w.row())
		w.login(w.file())
		if w.row() == first || w.file() == first {
			t.Error("the new password wasn't delivered")
		}
		w.remove("ill")
		w.retires(first)
		w.everywhere("orders_a", "orders_b")
	})
	t.Run("a host that's down keeps a rotation from beginning", func(t *testing.T) {
		w := w.in(t)
		before := w.everywhere("orders_a", "orders_b")
		w.cable.cut()
		out := w.rota(1, "rotate", "prod/orders-db", "--yes")
		for _, words := range []string{"prod/orders-db", w.cable.addr, "the old one is left alone"} {
			if !strings.Contains(out, words) {
				t.Errorf("no %q in: %s", words, out)
			}
		}
		if w.everywhere("orders_a", "orders_b") != before {
			t.Error("something changed before the host was back")
		}
		w.cable.join(t)
		w.rota(0, "rotate", "prod/orders-db", "--yes")
		w.retires(before)
		w.everywhere("orders_a", "orders_b")
	})
	t.Run("a host that goes down during a rotation keeps the old password valid", func(t *testing.T) {
		w := w.in(t)
		before := w.row()
		unlock := w.lockRow()
		finish := w.start("rotate", "prod/orders-db", "--yes")
		w.until("the statement waits for the row", w.waitsForRow)
		w.cable.cut()
		unlock()
		w.until("the row has the new password", func() bool { return w.row() != before })
		if code, out := finish(); code == 0 || !strings.Contains(out, w.cable.addr) {
			t.Errorf("code %d, and it doesn't say which host: %s", code, out)
		}
		if w.file() != before {
			t.Error("the host has the new password although it's down")
		}
		w.rota(1, "deactivate", "prod/orders-db", "--yes")
		w.login(before)
		w.login(w.row())
		w.cable.join(t)
		w.retires(before)
		w.everywhere("orders_a", "orders_b")
	})
	t.Run("a crash while the host reloads", func(t *testing.T) {
		w := w.in(t)
		before := w.file()
		w.touch("slow")
		reloads := w.reloads()
		kill := w.startToKill("rotate", "prod/orders-db", "--yes")
		w.until("the reload has begun", func() bool { return w.reloads() > reloads })
		kill()
		w.login(before)
		w.login(w.file())
		w.remove("slow")
		w.retires(before)
		w.everywhere("orders_a", "orders_b")
	})
	t.Run("a crash while the row is written", func(t *testing.T) {
		w := w.in(t)
		before := w.row()
		unlock := w.lockRow()
		kill := w.startToKill("rotate", "prod/orders-db", "--yes")
		w.until("the statement waits for the row", w.waitsForRow)
		kill()
		if w.row() != before {
			t.Error("the row changed while it was locked")
		}
		w.login(before)
		unlock()
		w.retires(before)
		w.everywhere("orders_a", "orders_b")
	})
	if out := w.rota(0, "audit", "verify"); !strings.Contains(out, "entries") {
		t.Errorf("the audit: %s", out)
	}
}

// rota runs the program, and checks whether it succeeds (0) or not (1).
func (w *world) rota(code int, args ...string) string {
	w.t.Helper()
	got, out := w.run(args...)
	if (got == 0) != (code == 0) {
		w.t.Fatalf("rota %s: %d, want %d\n%s", strings.Join(args, " "), got, code, out)
	}
	return out
}

// run returns the program's exit code and what it prints.
func (w *world) run(args ...string) (int, string) {
	w.t.Helper()
	cmd := w.command(w.t.Context(), args...)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		w.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func (w *world) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, append(args, "-c", filepath.Join(w.dir, "rota.yaml"))...)
	cmd.Env = []string{"ROTA_DATA_DIR=" + filepath.Join(w.dir, "data"), "HOME=" + w.dir, "PATH=" + os.Getenv("PATH")}
	return cmd
}

// start runs the program in the background, and returns how to wait for it.
func (w *world) start(args ...string) (finish func() (int, string)) {
	w.t.Helper()
	cmd, out := w.begin(args...)
	return func() (int, string) {
		_ = cmd.Wait()
		return cmd.ProcessState.ExitCode(), out.String()
	}
}

// startToKill runs the program until it's killed.
func (w *world) startToKill(args ...string) (kill func()) {
	w.t.Helper()
	cmd, _ := w.begin(args...)
	return func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if cmd.ProcessState.Exited() {
			w.t.Errorf("it had ended before it was killed: %v", cmd.ProcessState)
		}
	}
}

func (w *world) begin(args ...string) (*exec.Cmd, *bytes.Buffer) {
	w.t.Helper()
	cmd, out := w.command(w.t.Context(), args...), new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	return cmd, out
}

// until waits for something to be so.
func (w *world) until(what string, so func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !so(); {
		if time.Now().After(deadline) {
			w.t.Fatalf("still not so: %s\n%s", what, w.last)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-w.t.Context().Done():
			w.t.Fatal("the test is over")
		}
	}
}

// retires has a person retire the old password, once the rotation is done: it's
// finished first.
func (w *world) retires(old login) {
	w.t.Helper()
	w.until("the old password can be retired", func() bool {
		code, out := w.run("deactivate", "prod/orders-db", "--yes")
		w.last = out
		return code == 0
	})
	w.rota(0, "delete", "prod/orders-db", "--yes")
	if w.accepts(old) {
		w.t.Error("the old password is still accepted")
	}
}
