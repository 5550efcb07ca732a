package testenv

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/gofrs/flock"
)

// Address is one on this machine that nobody listens at, and that no other test is
// given until the test ends: for what listens at times only. Its port isn't among
// those that connections are made from.
func Address(t testing.TB) string {
	t.Helper()
	for range 1000 {
		port := 20000 + rand.IntN(12000)
		lock := flock.New(filepath.Join(os.TempDir(), fmt.Sprintf("rota-test-port-%d", port)))
		if ok, err := lock.TryLock(); err != nil || !ok {
			continue
		}
		address := fmt.Sprintf("127.0.0.1:%d", port)
		l, err := net.Listen("tcp", address)
		if err != nil {
			_ = lock.Unlock()
			continue
		}
		_ = l.Close()
		t.Cleanup(func() {
			_ = os.Remove(lock.Path())
			_ = lock.Unlock()
		})
		return address
	}
	t.Fatal("no port is free")
	return ""
}
