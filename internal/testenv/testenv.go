// Package testenv starts real servers for tests, in temporary folders and on
// free ports of 127.0.0.1, and stops them at the test's end. It holds no test
// of its own subject and is imported by tests only.
package testenv

import (
	"net"
	"os"
	"testing"
)

// Missing skips the test because a server it needs is not installed, or fails
// it where ROTA_REQUIRE=all says that nothing may be skipped.
func Missing(t testing.TB, what, how string) {
	t.Helper()
	if os.Getenv("ROTA_REQUIRE") == "all" {
		t.Fatalf("%s is missing, and ROTA_REQUIRE=all allows no skip: %s", what, how)
	}
	t.Skipf("%s is missing: %s", what, how)
}

// FreePort gives a port of 127.0.0.1 that nobody listens on.
func FreePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}
