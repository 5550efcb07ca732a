package store

// SQL for the reports of instances.
//
//nolint:gosec // SQL, no credentials
const (
	sqlHeldBy = `SELECT secret, version, until FROM holders WHERE principal = $1 AND instance = $2`
	// The same about one secret: an instance may hold thousands.
	sqlHeldOfOne = sqlHeldBy + ` AND secret = $3`
	sqlHold      = `INSERT INTO holders (secret, principal, instance, version, since, until) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (secret, principal, instance, version) DO UPDATE SET
		since = CASE WHEN holders.until < excluded.since THEN excluded.since ELSE holders.since END,
		until = CASE WHEN holders.until < excluded.until THEN excluded.until ELSE holders.until END`
	sqlLetGo       = `DELETE FROM holders WHERE secret = $1 AND principal = $2 AND instance = $3 AND version = $4`
	sqlInstanceEnd = `DELETE FROM holders WHERE principal = $1 AND instance = $2`
	// Every version but one, of one instance or, for "", of all.
	sqlForgetHolders  = `DELETE FROM holders WHERE secret = $1 AND version <> $2 AND ($3 = '' OR instance = $3)`
	sqlExpiredHolders = `DELETE FROM holders WHERE until <= $1`
	sqlHolders        = `SELECT principal, instance, version, since, until FROM holders WHERE secret = $1 AND until > $2 ORDER BY since, principal, instance, version`
	sqlHoldersCount   = `SELECT secret, version, count(*) FROM holders WHERE until > $1 GROUP BY secret, version`
	// Counting stops at the limit.
	sqlCountOfSecret    = `SELECT count(*) FROM (SELECT 1 FROM holders WHERE secret = $1 LIMIT $2) AS counted`
	sqlCountOfPrincipal = `SELECT count(*) FROM (SELECT 1 FROM holders WHERE principal = $1 LIMIT $2) AS counted`

	// Somebody listens from $1 on without a gap, unless the last time is before $2
	// or after $3.
	sqlListen = `INSERT INTO listening (id, since, heard) VALUES (1, $1, $1) ON CONFLICT (id) DO UPDATE SET
		since = CASE WHEN listening.heard < $2 OR listening.heard > $3 THEN excluded.since ELSE listening.since END, heard = excluded.heard`
	sqlListening  = `SELECT since, heard FROM listening WHERE id = 1`
	sqlStopListen = `DELETE FROM listening`
)
