package daemon

import (
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A list with a million entries takes a while to parse, and must not keep connections out.
func TestConnectionsGoByTheListsFromBeforeWhileOneReads(t *testing.T) {
	root := certify(t, "root", 1, nil, true)
	client := certify(t, "client", 3, root, false)
	chains := [][]*x509.Certificate{{client.Certificate, root.Certificate}}
	fifo := filepath.Join(t.TempDir(), "crl") // its reader waits for whoever writes
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	put := func(revoked ...int64) <-chan error {
		done := make(chan error, 1)
		text := listOf{by: root, revoked: revoked}.pem(t, time.Now())
		go func() { done <- os.WriteFile(fifo, text, 0) }()
		return done
	}
	written := put()
	crls, err := newClientCRLs(fifo, slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	crls.checkedAt = time.Time{} // due for another look

	read := make(chan error, 1)
	go func() { read <- crls.check(chains) }()
	for deadline := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		crls.mu.Lock()
		reading := crls.reading
		crls.mu.Unlock()
		if reading {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the lists aren't read again")
		}
	}
	if err := crls.check(chains); err != nil {
		t.Errorf("while the file is read: %v", err)
	}
	written = put(3)
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	if err := <-read; err == nil || !strings.Contains(err.Error(), "was revoked") {
		t.Errorf("whoever read the new list: %v", err)
	}
	if err := crls.check(chains); err == nil || !strings.Contains(err.Error(), "was revoked") {
		t.Errorf("after that: %v", err)
	}
}
