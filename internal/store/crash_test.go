//go:build unix

package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/rotation"
)

// The test binary runs itself as another process, which does what this variable
// says: "write DIR", "open DIR" or "hold DIR".
const childEnv = "ROTA_STORE_TEST_CHILD"

func TestMain(m *testing.M) {
	role, dir, _ := strings.Cut(os.Getenv(childEnv), " ")
	var err error
	switch role {
	case "":
		code := m.Run()
		server.Stop()
		os.Exit(code)
	case "write":
		err = writeUntilKilled(context.Background(), dir)
	case "hold":
		err = holdLease(context.Background(), dir)
	case "open":
		var db *DB
		if db, err = Open(context.Background(), options(dir, nil)); err == nil {
			err = db.Close()
		}
	}
	if err != nil {
		fmt.Println("error", hint.Text(err))
		os.Exit(1)
	}
}

const crashWorkers = 4

// writeUntilKilled rotates as fast as it can, including the master key. It
// prints what was reported as done.
func writeUntilKilled(ctx context.Context, dir string) error {
	db, err := Open(ctx, options(dir, nil))
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	errs := make(chan error, crashWorkers+1)
	for i := range crashWorkers {
		wg.Go(func() { errs <- rotateForEver(ctx, db, i) })
	}
	wg.Go(func() {
		for {
			if err := db.RotateMasterKey(ctx, nil); err != nil {
				errs <- err
				return
			}
		}
	})
	return <-errs
}

func rotateForEver(ctx context.Context, db *DB, i int) error {
	name := fmt.Sprintf("s%d", i)
	s := db.Secret(name)
	for {
		l, err := db.Journal().Acquire(ctx, rotation.AcquireRequest{Secret: name, Holder: "child", TTL: ttl})
		if err != nil {
			return err
		}
		snapshot, err := db.Journal().Load(ctx, name)
		p := snapshot.Progress
		if err != nil {
			return err
		}
		p.Rejections++ // serves as a counter here
		n := p.Rejections
		id := fmt.Sprintf("v%d", n)
		if err := db.Journal().Save(ctx, rotation.SaveRequest{Lease: l, Progress: p, Entries: []rotation.Entry{{Secret: name, Version: id}}}); err != nil {
			return err
		}
		fmt.Println("saved", i, n)
		if err := s.Put(ctx, rota.PutRequest{Version: id, Credential: credential(id), Labels: []rota.Label{rota.LabelPending}}); err != nil {
			return err
		}
		contents, err := s.Describe(ctx)
		if err != nil {
			return err
		}
		current, _ := rota.Find(contents.Versions, rota.LabelCurrent)
		if err := s.Move(ctx, rota.MoveRequest{Label: rota.LabelCurrent, From: current.ID, To: id}); err != nil {
			return err
		}
		if err := s.Move(ctx, rota.MoveRequest{Label: rota.LabelPending, From: id}); err != nil {
			return err
		}
		fmt.Println("moved", i, n)
	}
}

// killed runs a writing child, kills it after so many lines and returns the
// highest number that each worker reported.
func killed(t *testing.T, dir string, after int) (saved, moved [crashWorkers]int) {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), childEnv+"=write "+dir)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	lines := bufio.NewReader(out)
	for n := 1; ; n++ {
		line, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		var what string
		var i, number int
		if _, err := fmt.Sscan(line, &what, &i, &number); err != nil {
			t.Fatalf("the child says %q", line)
		}
		if what == "saved" {
			saved[i] = max(saved[i], number)
		} else {
			moved[i] = max(moved[i], number)
		}
		if n == after {
			must(t, cmd.Process.Kill())
		}
	}
	if err := cmd.Wait(); err == nil || !contains(hint.Text(err), "killed") {
		t.Fatalf("the child ended with %v", err)
	}
	return saved, moved
}

func TestAKilledProcessLeavesAnIntactStore(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		dir := newDir(t)
		for round := range 25 {
			saved, moved := killed(t, dir, 1+round*round)
			db, err := Open(t.Context(), options(dir, nil))
			must(t, err)
			_, err = db.Audit().Verify(t.Context())
			must(t, err)
			if !isPostgres(dir) {
				var verdict string
				must(t, db.reader.QueryRowContext(t.Context(), sqlIntegrityCheck).Scan(&verdict))
				if verdict != "ok" {
					t.Fatalf("round %d: %s", round, verdict)
				}
			}
			for i := range crashWorkers {
				checkAfterKill(t, db, fmt.Sprintf("s%d", i), saved[i], moved[i])
			}
			must(t, db.Close())
		}
	})
}

func checkAfterKill(t *testing.T, db *DB, name string, saved, moved int) {
	t.Helper()
	snapshot, err := db.Journal().Load(t.Context(), name)
	p := snapshot.Progress
	must(t, err)
	if p.Rejections < saved {
		t.Errorf("%s: progress %d, though %d was reported as saved", name, p.Rejections, saved)
	}
	entries, err := db.Audit().Read(t.Context(), AuditQuery{Secret: name, Limit: 1 << 30})
	must(t, err)
	for i, e := range entries {
		if want := fmt.Sprintf("v%d", i+1); e.Entry.Version != want {
			t.Fatalf("%s: audit entry %d is of %s, want %s", name, e.Seq, e.Entry.Version, want)
		}
	}
	if len(entries) != p.Rejections {
		t.Errorf("%s: %d audit entries with progress %d", name, len(entries), p.Rejections)
	}
	contents, err := db.Secret(name).Describe(t.Context())
	must(t, err)
	current, ok := rota.Find(contents.Versions, rota.LabelCurrent)
	n, _ := strconv.Atoi(strings.TrimPrefix(current.ID, "v"))
	if (!ok && moved > 0) || n < moved || n > p.Rejections {
		t.Errorf("%s: %q is current, though %d was reported and %d begun", name, current.ID, moved, p.Rejections)
	}
	for _, v := range contents.Versions {
		c, err := db.Secret(name).Get(t.Context(), rota.GetRequest{Version: v.ID})
		must(t, err)
		if !c.Equal(credential(v.ID)) {
			t.Errorf("%s: %s has another value", name, v.ID)
		}
	}
}

func TestAFolderThatCantBeWrittenFailsClearly(t *testing.T) {
	for _, readOnly := range []string{"the folder", "the database"} {
		t.Run(readOnly, func(t *testing.T) {
			base := t.TempDir()
			dir, bin := filepath.Join(base, "data"), filepath.Join(base, "rota-test")
			db, err := Open(t.Context(), options(dir, nil))
			must(t, err)
			must(t, db.Close())
			if readOnly == "the folder" {
				must(t, os.Remove(filepath.Join(dir, databaseFile)))
				must(t, os.Chmod(dir, 0o500))
			} else {
				must(t, os.Chmod(filepath.Join(dir, databaseFile), 0o400))
			}
			t.Cleanup(func() { must(t, os.Chmod(dir, 0o700)) })

			self, err := os.Executable()
			must(t, err)
			cmd := exec.CommandContext(t.Context(), self)
			if os.Geteuid() == 0 {
				// Nothing is read-only to root, so use another user.
				const nobody = 65534
				raw, err := os.ReadFile(self)
				must(t, err)
				must(t, os.WriteFile(bin, raw, 0o755))
				must(t, os.Chmod(filepath.Dir(base), 0o755))
				for _, p := range []string{dir, filepath.Join(dir, databaseFile), filepath.Join(dir, keyFile)} {
					if err := os.Chown(p, nobody, nobody); !errors.Is(err, os.ErrNotExist) {
						must(t, err)
					}
				}
				cmd = exec.CommandContext(t.Context(), bin)
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
			}
			cmd.Dir = "/"
			cmd.Env = append(os.Environ(), childEnv+"=open "+dir)
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatal("it was opened")
			}
			if want := "(try: make the data folder and its files writable for this user)"; !contains(string(out), want) {
				t.Errorf("it says %q, want %q", out, want)
			}
		})
	}
}
