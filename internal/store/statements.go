package store

import (
	"context"
	"database/sql"
	"sync"
)

// statements caches prepared statements for reads so frequent that parsing
// their SQL would be half the work. They end with their pool.
type statements struct {
	// local means that the database is in this process, where such a read ends
	// sooner than anyone could cancel it. The driver and [sql.DB] would start a
	// goroutine each to see whether someone does.
	local bool

	mu       sync.Mutex
	prepared map[string]*sql.Stmt
}

// prepare returns the statement for a query.
func (s *statements) prepare(ctx context.Context, pool *sql.DB, query string) (*sql.Stmt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if stmt, ok := s.prepared[query]; ok {
		return stmt, nil
	}
	stmt, err := pool.PrepareContext(ctx, query) //nolint:sqlclosecheck // it is kept for the next call
	if err != nil {
		return nil, err
	}
	if s.prepared == nil {
		s.prepared = map[string]*sql.Stmt{}
	}
	s.prepared[query] = stmt
	return stmt, nil
}

// row reads one row into dest.
func (s *statements) row(ctx context.Context, pool *sql.DB, query string, args []any, dest ...any) error {
	found := false
	err := s.rows(ctx, pool, query, args, func(row scanner) error {
		if found {
			return nil
		}
		found = true
		return row.Scan(dest...)
	})
	if err == nil && !found {
		return sql.ErrNoRows
	}
	return err
}

// rows passes each row to scan. A pool may still have connections that ended
// with a server that has restarted since: each is good for one failure.
func (s *statements) rows(ctx context.Context, pool *sql.DB, query string, args []any, scan func(scanner) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.local {
		ctx = context.WithoutCancel(ctx)
	}
	stmt, err := s.prepare(ctx, pool, query)
	if err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		seen := false
		err := readRows(ctx, stmt, args, func(row scanner) error {
			seen = true
			return scan(row)
		})
		if err == nil || seen || attempt > pool.Stats().MaxOpenConnections || !endedWithServer(err) {
			return err
		}
	}
}

func readRows(ctx context.Context, stmt *sql.Stmt, args []any, scan func(scanner) error) error {
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
