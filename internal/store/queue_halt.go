package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/rotation"
)

// allSecrets stands for all secrets in the audit. No secret can have this name.
const allSecrets = "(all)"

// Pause keeps secrets from being due until they are resumed. A turn in flight
// continues. If one of the names is unknown, none is paused and the error is
// [rota.ErrNotFound].
func (db Queue) Pause(ctx context.Context, names []string, by access.Caller, why string) error {
	return db.halt(ctx, "pause", names, by, why, func(t *tx, name, halt string) (int64, error) {
		return t.exec(sqlPause, name, halt)
	})
}

// Resume makes secrets due again, immediately, and retries what had been given
// up, whether or not they were paused.
func (db Queue) Resume(ctx context.Context, names []string, by access.Caller, why string) error {
	return db.halt(ctx, "resume", names, by, why, func(t *tx, name, _ string) (int64, error) {
		return t.exec(sqlResume, name)
	})
}

// Freeze keeps all secrets from being due until Thaw.
func (db Queue) Freeze(ctx context.Context, by access.Caller, why string) error {
	return db.halt(ctx, "freeze", []string{allSecrets}, by, why, func(t *tx, _, halt string) (int64, error) {
		return t.exec(sqlFreeze, halt)
	})
}

// Thaw ends a Freeze. Without one it's a no-op.
func (db Queue) Thaw(ctx context.Context, by access.Caller, why string) error {
	return db.halt(ctx, "thaw", []string{allSecrets}, by, why, func(t *tx, _, _ string) (int64, error) {
		_, err := t.exec(sqlThaw)
		return 1, err
	})
}

// halt changes each name's halt and audits it, all or nothing.
func (db *core) halt(ctx context.Context, act string, names []string, by access.Caller, why string, change func(t *tx, name, halt string) (int64, error)) error {
	err := db.writer.do(ctx, haltLock, func(t *tx) error {
		halt, err := json.Marshal(rotation.Halt{By: by.Principal, Why: why, At: t.now.UTC()})
		if err != nil {
			return err
		}
		for _, name := range names {
			n, err := change(t, name, string(halt))
			if err != nil {
				return err
			}
			if n == 0 {
				return fmt.Errorf("secret %s: %w", name, rota.ErrNotFound)
			}
			if err := t.append([]rotation.Entry{by.Entry(t.now, act, name, rotation.OutcomeSucceeded, why)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w", act, err)
	}
	return nil
}

// Frozen returns who froze everything; nil if nobody did.
func (db Queue) Frozen(ctx context.Context) (*rotation.Halt, error) {
	var text []byte
	err := db.reads.row(ctx, db.reader, sqlFrozen, nil, &text)
	if isNoRows(err) {
		return nil, nil
	}
	var h *rotation.Halt
	if err == nil {
		err = decode(text, &h)
	}
	if err != nil {
		return nil, fmt.Errorf("frozen: %w", explain(err))
	}
	return h, nil
}

// Paused returns every paused secret, by name.
func (db Queue) Paused(ctx context.Context) (map[string]rotation.Halt, error) {
	fail := func(err error) (map[string]rotation.Halt, error) {
		return nil, fmt.Errorf("paused secrets: %w", explain(err))
	}
	rows, err := db.reader.QueryContext(ctx, sqlPaused)
	if err != nil {
		return fail(err)
	}
	defer func() { _ = rows.Close() }()
	paused := map[string]rotation.Halt{}
	for rows.Next() {
		var name, text string
		var h rotation.Halt
		err := rows.Scan(&name, &text)
		if err == nil {
			err = json.Unmarshal([]byte(text), &h)
		}
		if err != nil {
			return fail(err)
		}
		paused[name] = h
	}
	if err := rows.Err(); err != nil {
		return fail(err)
	}
	return paused, nil
}
