//go:build unix

package replicas

import (
	"os"
	"syscall"
	"testing"
	"time"
)

func TestThreeReplicasInOneProcess(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 120, 10*time.Millisecond)
	for range 3 {
		w.run(w.scene)
	}
	w.rotated(w.Secrets)
	w.check()
}

func TestAReplicaThatIsKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 120, 300*time.Millisecond)
	first, second := w.start(w.scene), w.start(w.scene)
	w.rotated(20)
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	w.rotated(w.Secrets)
	end(t, second.Process)
	w.check()
}

func TestAReplicaThatIsStoppedAndGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 120, 300*time.Millisecond)
	first, second := w.start(w.scene), w.start(w.scene)
	w.rotated(20)
	if err := first.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	// What it held is taken over; then it wakes up in the middle of its turns.
	w.rotated(w.Secrets)
	if err := first.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	end(t, first.Process)
	end(t, second.Process)
	w.check()
}

func TestAReplicaThatIsCutOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 120, 300*time.Millisecond)
	line := newProxy(t, w.Port)
	cut := w.start(w.through(t, line.port))
	other := w.start(w.scene)
	w.rotated(20)
	line.cut()
	w.rotated(w.Secrets)
	line.mend()
	end(t, cut.Process)
	end(t, other.Process)
	w.check()
}

func TestTheServerIsRestartedUnderLoad(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 120, 100*time.Millisecond)
	for range 2 {
		w.start(w.scene)
	}
	w.rotated(10)
	w.server.Restart(t)
	w.rotated(60)
	w.server.Restart(t)
	w.rotated(w.Secrets)
	w.check()
}

// end asks a replica to stop and waits until it has.
func end(t testing.TB, p *os.Process) {
	t.Helper()
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := p.Wait()
		ended <- err
	}()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(2 * time.Minute):
		t.Error("the replica does not stop")
	}
}
