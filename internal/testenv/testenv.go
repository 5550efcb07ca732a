// Package testenv starts real servers for tests, in temporary folders and on
// free ports of 127.0.0.1, and stops them when the test ends. It contains no
// tests of the servers themselves, and only tests import it.
package testenv

import (
	"net"
	"os"
	"testing"
)

// Missing skips the test because a server it needs isn't installed, or fails it
// if ROTA_REQUIRE=all forbids skipping.
func Missing(t testing.TB, what, how string) {
	t.Helper()
	if os.Getenv("ROTA_REQUIRE") == "all" {
		t.Fatalf("%s is missing, and ROTA_REQUIRE=all allows no skip: %s", what, how)
	}
	t.Skipf("%s is missing: %s", what, how)
}

// FreePort returns a port on 127.0.0.1 that nothing listens on.
func FreePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}
