package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rota-dev/rota/provider"
)

var _ provider.Identifier = (*Connection)(nil)

// Identity implements [provider.Identifier]: the cluster's system identifier,
// and when this server of it was started, to the microsecond.
//
// The system identifier alone would confuse a server with its copies: a physical
// standby, a clone, and whatever was restored from a base backup or a snapshot
// keep it, while a restored copy's roles are its own. No two of them run with the
// same start time. Anyone may ask for that; where EXECUTE on pg_control_system()
// has been revoked, which no version does by itself, it's all there is.
func (c *Connection) Identity(ctx context.Context) (string, error) {
	var cluster string
	var started int64
	err := c.within(ctx, "identify the server", func(ctx context.Context, tx pgx.Tx) error {
		var may bool
		if err := tx.QueryRow(ctx, `SELECT (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint,
			coalesce(has_function_privilege(to_regprocedure('pg_control_system()')::oid, 'EXECUTE'), false)`).Scan(&started, &may); err != nil || !may {
			return err
		}
		return tx.QueryRow(ctx, "SELECT system_identifier::text FROM pg_control_system()").Scan(&cluster)
	})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("cluster\x00%s\x00%d", cluster, started), nil
}
