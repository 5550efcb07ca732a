package store

// SQL for the engine's queries. The conditions of the first two match those of
// partial indexes, word for word.
const (
	sqlDue = `SELECT secret, next_at, fence, CASE WHEN expires_at > $2 THEN instance END FROM progress
		WHERE enrolled = 1 AND paused = '' AND next_at <= $1 AND (next_at, secret) > ($3, $4)
		AND NOT EXISTS (SELECT 1 FROM halts WHERE name = 'all')
		ORDER BY next_at, secret LIMIT $5`
	sqlNextDue = `SELECT next_at FROM progress
		WHERE enrolled = 1 AND paused = '' AND next_at > $1
		ORDER BY next_at LIMIT 1`
	sqlOverdue = `SELECT secret FROM progress
		WHERE enrolled = 1 AND overdue_from > 0 AND overdue_from <= $1 AND secret > $2
		ORDER BY secret LIMIT $3`

	sqlEnrolled = `SELECT secret, fingerprint FROM progress WHERE enrolled = 1`
	// The rows are passed as one JSON text, [[name, fingerprint], …], because
	// binding thousands of parameters would be slow. %s is the dialect's table
	// of an array.
	sqlEnroll = `INSERT INTO progress (secret, fence, holder, expires_at, enrolled, fingerprint, overdue_from)
		SELECT value ->> 0, 0, '', 0, 1, value ->> 1, $2 FROM %s WHERE true
		ON CONFLICT (secret) DO UPDATE SET enrolled = 1, fingerprint = excluded.fingerprint, next_at = 0, lifted = progress.fence`
	sqlUnenroll = `UPDATE progress SET enrolled = 0 WHERE secret IN (SELECT value ->> 0 FROM %s)`

	// The rows are passed as [[name], …].
	sqlStatusesOf = `SELECT secret, status FROM progress WHERE enrolled = 1 AND secret IN (SELECT value ->> 0 FROM %s)`

	// Makes a secret due after a change by someone else. A turn in flight may
	// have looked before the change, so its end doesn't postpone the next one.
	sqlMarkDue = `UPDATE progress SET next_at = 0, lifted = fence WHERE secret = $1 AND enrolled = 1`

	// The active configuration, the one this replica registered, and whether
	// its configuration was ever active.
	sqlReplicaState = `SELECT coalesce((SELECT hash FROM configurations ORDER BY number DESC LIMIT 1), ''),
		coalesce((SELECT configuration FROM replicas WHERE instance = $1), ''),
		EXISTS (SELECT 1 FROM configurations WHERE hash = $2)`
	sqlActivate = `INSERT INTO configurations (hash, number)
		SELECT CAST($1 AS TEXT), coalesce(max(number), 0) + 1 FROM configurations WHERE true
		ON CONFLICT (hash) DO UPDATE SET number = excluded.number`
	sqlRegister      = `INSERT INTO replicas (instance, configuration) VALUES ($1, $2) ON CONFLICT (instance) DO UPDATE SET configuration = excluded.configuration`
	sqlForgetReplica = `DELETE FROM replicas WHERE instance = $1`
	sqlReplicas      = `SELECT instance FROM replicas WHERE instance <> $1 ORDER BY instance`
	sqlReplicasWith  = `SELECT instance FROM replicas WHERE instance <> $1 AND configuration = $2 ORDER BY instance`

	sqlPause  = `UPDATE progress SET paused = $2 WHERE secret = $1`
	sqlResume = `UPDATE progress SET paused = '', next_at = 0, lifted = fence WHERE secret = $1`
	sqlPaused = `SELECT secret, paused FROM progress WHERE paused <> '' ORDER BY secret`
	sqlFreeze = `INSERT INTO halts (name, halt) VALUES ('all', $1) ON CONFLICT (name) DO UPDATE SET halt = excluded.halt`
	sqlThaw   = `DELETE FROM halts WHERE name = 'all'`
	sqlFrozen = `SELECT halt FROM halts WHERE name = 'all'`
)
