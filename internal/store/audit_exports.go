package store

import (
	"context"
	"fmt"
)

// Exported is the number of the last audit entry sent to a destination, 0 for
// none.
func (db Audit) Exported(ctx context.Context, name string) (int64, error) {
	var seq int64
	err := db.reader.QueryRowContext(ctx, sqlExported, name).Scan(&seq)
	if err != nil && !isNoRows(err) {
		return 0, fmt.Errorf("audit sent to %s: %w", name, err)
	}
	return seq, nil
}

// MarkExported records that the audit was sent up to an entry. The number never
// decreases.
func (db Audit) MarkExported(ctx context.Context, name string, seq int64) error {
	err := db.writer.do(ctx, "", func(t *tx) error {
		_, err := t.exec(sqlMarkExported, name, seq)
		return err
	})
	if err != nil {
		return fmt.Errorf("audit sent to %s: %w", name, err)
	}
	return nil
}
