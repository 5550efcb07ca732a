package check

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/rota-dev/rota/internal/testenv"
)

var cluster testenv.SharedKubernetes

func TestMain(m *testing.M) {
	code := m.Run()
	cluster.Stop()
	if built.path != "" {
		_ = os.RemoveAll(filepath.Dir(built.path))
	}
	os.Exit(code)
}

var built struct {
	once sync.Once
	path string
	out  []byte
	err  error
}

// rota is the program itself, built from this checkout.
func rota(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		var dir string
		if dir, built.err = os.MkdirTemp("", "rota-chart-"); built.err != nil {
			return
		}
		if built.err = os.Chmod(dir, 0o755); built.err != nil { // another user runs it, too
			return
		}
		built.path = filepath.Join(dir, "rota")
		build := exec.Command("go", "build", "-trimpath", "-o", built.path, "./cmd/rota")
		build.Dir, build.Env = "../../..", append(os.Environ(), "CGO_ENABLED=0")
		built.out, built.err = build.CombinedOutput()
	})
	if built.err != nil {
		t.Fatalf("%v\n%s", built.err, built.out)
	}
	return built.path
}
