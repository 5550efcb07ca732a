package syslog_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/internal/server/syslog"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/rotation"
)

func record(t *testing.T, db *store.DB, steps ...string) {
	t.Helper()
	for _, step := range steps {
		err := db.Audit().Record(t.Context(), rotation.Entry{At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Actor: "ann", Secret: "s", Step: step, Outcome: rotation.OutcomeDenied})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// frame reads one message with octet counting.
func frame(r *bufio.Reader) (string, error) {
	var n int
	if _, err := fmt.Fscanf(r, "%d ", &n); err != nil {
		return "", err
	}
	text := make([]byte, n)
	_, err := io.ReadFull(r, text)
	return string(text), err
}

func TestEveryEntryArrivesInOrderDespiteAnOutage(t *testing.T) {
	db, err := store.Open(t.Context(), store.Options{Dir: filepath.Join(t.TempDir(), "data")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	record(t, db, "one", "two")

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "tcp://" + listener.Addr().String()
	follow := func(changed <-chan struct{}) (stop func()) {
		client, err := syslog.New(address)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- syslog.Follow(ctx, client, db.Audit(), changed, slog.New(slog.DiscardHandler)) }()
		return func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	changed := make(chan struct{}, 1)
	stop := follow(changed)
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	r := bufio.NewReader(conn)
	read := func(r *bufio.Reader, step string) {
		t.Helper()
		got, err := frame(r)
		if err != nil {
			t.Fatal(err)
		}
		head, text, _ := strings.Cut(got, " audit - ")
		var entry store.AuditRecord
		if err := json.Unmarshal([]byte(text), &entry); err != nil || entry.Entry.Step != step {
			t.Errorf("got %s, want %s", got, step)
		}
		if !strings.HasPrefix(head, "<108>1 2026-01-02T03:04:05.000000Z ") {
			t.Errorf("the head is %q", head)
		}
	}
	read(r, "one")
	read(r, "two")
	record(t, db, "three")
	changed <- struct{}{}
	read(r, "three")
	for { // until it's recorded as sent
		if n, err := db.Audit().Exported(t.Context(), "syslog"); err != nil || n == 3 {
			break
		}
		if t.Context().Err() != nil {
			t.Fatal("it is never noted")
		}
	}
	stop()
	_ = conn.Close()

	record(t, db, "four") // while nobody follows
	stop = follow(changed)
	defer stop()
	if conn, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	read(bufio.NewReader(conn), "four")
}

func TestAddresses(t *testing.T) {
	for _, good := range []string{"tcp://127.0.0.1:514", "udp://logs", "tls://logs.example.org:6514"} {
		if _, err := syslog.New(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"logs:514", "http://logs", "tcp://", "tcp://logs/x"} {
		if _, err := syslog.New(bad); err == nil || !strings.Contains(hint.Text(err), "try: ") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
