package testenv

import (
	"errors"
	"net"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// PostgresImpostor is no PostgreSQL: it only speaks as much of the protocol as it
// takes to ask whoever connects for the password, and counts what it gets.
func PostgresImpostor(t testing.TB, network, address string, ask pgproto3.BackendMessage) (net.Addr, *atomic.Int32) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	var got atomic.Int32
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				b := pgproto3.NewBackend(conn, conn)
				if _, err := b.ReceiveStartupMessage(); err != nil {
					return
				}
				b.Send(ask)
				if errors.Join(b.Flush(), b.SetAuthType(pgproto3.AuthTypeCleartextPassword)) != nil {
					return
				}
				if _, err := b.Receive(); err == nil {
					got.Add(1)
				}
				b.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "28P01", Message: "no"})
				_ = b.Flush()
			}()
		}
	}()
	return l.Addr(), &got
}
