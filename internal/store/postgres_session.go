package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rota-dev/rota"
)

const (
	// sessionGrace is how long a server must have been up, or reachable again,
	// before a missing session means a dead process: live processes reconnect
	// within that time.
	sessionGrace = 5 * time.Second
	// sessionCheck is how often a session is pinged.
	sessionCheck = 5 * time.Second
)

// The server notices within half a minute that this machine is gone.
const sqlSessionSettings = `SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; SET lock_timeout = '10s'`

// session shows others that this process is alive: it keeps one connection open
// for an advisory lock, which the server drops when the process dies. A process
// that's merely stopped keeps it.
//
// If the connection is lost while the process lives, others may take over its
// leases before they expire, and its writes are fenced, as if it had hung.
// Leases that it takes before it has the lock again last until they expire.
type session struct {
	config *pgx.ConnConfig
	reader *sql.DB
	name   string
	grace  time.Duration
	stop   context.CancelFunc
	ended  chan struct{}

	mu         sync.Mutex
	held       bool
	regainedAt time.Time // when the lock was regained; zero if it was never lost
}

func newSession(ctx context.Context, config *pgx.ConnConfig, reader *sql.DB) (*session, error) {
	s := &session{config: config, reader: reader, name: rand.Text(), grace: sessionGrace, ended: make(chan struct{}), held: true}
	conn, err := s.connect(ctx)
	if err != nil {
		return nil, explain(err)
	}
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	go s.maintain(ctx, conn)
	return s, nil
}

// connect opens a connection and takes the lock. It may have to wait for the
// server to drop the previous connection.
func (s *session) connect(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, s.config.Copy())
	if err != nil {
		return nil, err
	}
	take := fmt.Sprintf("%s%s; SELECT pg_advisory_lock(%d)", sqlNoTimeouts, sqlSessionSettings, lockNumber("instance", s.name))
	if _, err := conn.PgConn().Exec(ctx, take).ReadAll(); err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	return conn, nil
}

// maintain watches the connection and replaces it whenever it is lost, until
// the store is closed.
func (s *session) maintain(ctx context.Context, conn *pgx.Conn) {
	defer close(s.ended)
	for {
		for s.alive(ctx, conn) {
		}
		s.setHeld(false)
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		_ = conn.Close(end) // drops the lock, if it's still held
		cancel()
		if conn = s.reconnect(ctx); conn == nil {
			return
		}
		s.setHeld(true)
	}
}

// alive waits for a while, and reports whether the connection still works. A
// closed connection is noticed immediately.
func (s *session) alive(ctx context.Context, conn *pgx.Conn) bool {
	wait, cancel := context.WithTimeout(ctx, sessionCheck)
	_ = conn.PgConn().WaitForNotification(wait) // there are no notifications: it ends with the timeout or the connection
	cancel()
	if ctx.Err() != nil || conn.IsClosed() {
		return false
	}
	ping, cancel := context.WithTimeout(ctx, sessionCheck)
	defer cancel()
	return conn.Ping(ping) == nil
}

func (s *session) reconnect(ctx context.Context) *pgx.Conn {
	for again := reconnectBackoff(); ; {
		if rota.Sleep(ctx, again.NextBackOff()) != nil {
			return nil
		}
		if conn, err := s.connect(ctx); err == nil {
			return conn
		}
	}
}

func (s *session) setHeld(held bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = held
	s.regainedAt = time.Now()
}

func (s *session) id() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.held {
		return ""
	}
	return s.name
}

// dead tries the other process's lock. Right after the server was unreachable,
// nobody counts as dead, because others may not have reconnected yet.
func (s *session) dead(id string) bool {
	if id == "" || id == s.name {
		return false
	}
	s.mu.Lock()
	settled := s.held && (s.regainedAt.IsZero() || time.Since(s.regainedAt) > s.grace)
	s.mu.Unlock()
	if !settled {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var free bool
	// Shared, so that two concurrent checks don't mistake each other for the
	// owner.
	err := s.reader.QueryRowContext(ctx, `SELECT pg_postmaster_start_time() <= clock_timestamp() - make_interval(secs => $1)
		AND pg_try_advisory_xact_lock_shared($2)`, s.grace.Seconds(), lockNumber("instance", id)).Scan(&free)
	return err == nil && free
}

func (s *session) close() error {
	s.stop()
	<-s.ended
	return nil
}
