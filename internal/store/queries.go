package store

// All SQL except migrations is in these files, with $n for parameters and in
// the subset that SQLite and PostgreSQL share. Only files named after one of
// the two use its dialect.
//
//nolint:gosec // SQL, no credentials
const (
	sqlDescribe = `SELECT ` + sqlContents
	// Versions without a label aren't shown.
	sqlContents = `s.changed_at, coalesce(v.id, ''), coalesce(v.created_at, 0), coalesce(l.label, '')
		FROM secrets s LEFT JOIN labels l ON l.secret = s.name LEFT JOIN versions v ON v.secret = l.secret AND v.id = l.version
		WHERE s.name = $1`
	// All versions, with their labels.
	sqlBeforeEdit = `SELECT s.changed_at, coalesce(v.id, ''), coalesce(v.created_at, 0), coalesce(l.label, '')
		FROM secrets s LEFT JOIN versions v ON v.secret = s.name LEFT JOIN labels l ON l.secret = v.secret AND l.version = v.id
		WHERE s.name = $1`
	// %s is more rows, ", ($1, $4, $5)" and so on.
	sqlSetLabels     = `INSERT INTO labels (secret, label, version) VALUES ($1, $2, $3)%s ON CONFLICT (secret, label) DO UPDATE SET version = excluded.version`
	sqlValue         = `SELECT value FROM versions WHERE secret = $1 AND id = $2`
	sqlTouchSecret   = `INSERT INTO secrets (name, changed_at, created_at, suffix) VALUES ($1, $2, $2, $3) ON CONFLICT (name) DO UPDATE SET changed_at = excluded.changed_at`
	sqlInsertVersion = `INSERT INTO versions (secret, id, value, created_at) VALUES ($1, $2, $3, $4)`
	sqlDropLabel     = `DELETE FROM labels WHERE secret = $1 AND label = $2`

	sqlMasterKey     = `SELECT wrapped FROM master_key WHERE id = 1`
	sqlPutMasterKey  = `INSERT INTO master_key (id, wrapped) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET wrapped = excluded.wrapped`
	sqlRestored      = `SELECT at FROM restored WHERE id = 1`
	sqlPutRestored   = `INSERT INTO restored (id, at) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET at = excluded.at`
	sqlVoidLeases    = `UPDATE progress SET fence = fence + $1, holder = '', expires_at = 0, next_at = 0 WHERE secret > $2 AND secret <= $3`
	sqlNextProgress  = `SELECT coalesce(max(secret), '') FROM (SELECT secret FROM progress WHERE secret > $1 ORDER BY secret LIMIT $2) AS next`
	sqlDataKey       = `SELECT wrapped FROM data_keys WHERE id = $1`
	sqlInsertDataKey = `INSERT INTO data_keys (id, wrapped) VALUES ($1, $2)`
	sqlUpdateDataKey = `UPDATE data_keys SET wrapped = $2 WHERE id = $1`
	sqlCountDataKeys = `SELECT count(*) FROM data_keys`
	sqlCountOldKeys  = `SELECT count(*) FROM data_keys WHERE substr(wrapped, 1, 5) <> $1`
	sqlSelectKeys    = `SELECT id, wrapped FROM data_keys WHERE id > $1 ORDER BY id LIMIT $2`
	sqlSelectOldKeys = `SELECT id, wrapped FROM data_keys WHERE id > $1 AND substr(wrapped, 1, 5) <> $2 ORDER BY id LIMIT $3`
	sqlAcquire       = sqlTakeLease + ` RETURNING fence`
	sqlAcquireFree   = sqlTakeLease + sqlWhereFree + ` RETURNING fence`
	sqlAcquireDue    = sqlTakeLease + sqlWhereFree + ` AND NOT ` + sqlOtherConfiguration + ` RETURNING fence`
	sqlWhereFree     = ` WHERE (progress.holder IN ('', excluded.holder) OR progress.expires_at <= $6)`
	// A configuration other than the holder's is enrolled.
	sqlOtherConfiguration = `(progress.enrolled = 1 AND $5 <> '' AND progress.fingerprint <> $5)`
	sqlTakeLease          = `INSERT INTO progress (secret, fence, holder, expires_at, instance) VALUES ($1, 1, $2, $3, $4) ON CONFLICT (secret) DO UPDATE SET fence = progress.fence + 1, holder = excluded.holder, expires_at = excluded.expires_at, instance = excluded.instance, lifted = CASE WHEN ` + sqlOtherConfiguration + ` THEN progress.fence + 1 ELSE progress.lifted END`
	sqlLease              = `SELECT holder, expires_at, instance, CASE WHEN enrolled = 1 THEN fingerprint ELSE '' END FROM progress WHERE secret = $1`
	sqlRelease            = `UPDATE progress SET holder = '', expires_at = 0 WHERE secret = $1 AND fence = $2 AND holder = $3`
	sqlSave               = `UPDATE progress SET holder = $1, expires_at = $2, next_at = CASE WHEN fence > lifted THEN CAST($3 AS BIGINT) ELSE 0 END, status = $4, failure = $5, progress = $6, overdue_from = $7, unsent = $8, lifted = CASE WHEN fence > lifted THEN 0 ELSE lifted END WHERE secret = $9 AND fence = $10 AND holder = $11`
	// %s is ", $2" and so on, for more secrets.
	sqlLoad = `SELECT 0, '', '', '', 0, '', coalesce((SELECT halt FROM halts WHERE name = 'all'), ''), coalesce((SELECT at FROM restored WHERE id = 1), 0), 0, '', 0, ''
		UNION ALL
		SELECT 1, secret, CASE WHEN secret = $1 THEN progress ELSE '' END, status, lifted, paused, '', 0, 0, '', 0, '' FROM progress WHERE secret IN ($1%s)
		UNION ALL
		SELECT 2, '', '', '', 0, '', '', 0, ` + sqlContents + ``
	sqlStatus           = `SELECT status FROM progress WHERE secret = $1`
	sqlStatuses         = `SELECT secret, holder, expires_at, instance, next_at, status, failure FROM progress ORDER BY secret`
	sqlEnrolledStatuses = `SELECT secret, holder, expires_at, instance, next_at, status, failure, paused, unsent > 0 FROM progress WHERE enrolled = 1 AND secret > $1 ORDER BY secret LIMIT $2`
	sqlInsertAudit      = `INSERT INTO audit (seq, entry, hash) VALUES `
	sqlAuditAll         = `SELECT seq, entry, hash FROM audit ORDER BY seq`
	sqlExported         = `SELECT seq FROM exports WHERE name = $1`
	sqlMarkExported     = `INSERT INTO exports (name, seq) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET seq = excluded.seq WHERE exports.seq < excluded.seq`
	sqlInsertEvent      = `INSERT INTO outbox (notifier, id, kept_at, event) VALUES ($1, $2, $3, $4) ON CONFLICT (notifier, id) DO NOTHING`
	sqlPendingEvents    = `SELECT kept_at, event FROM outbox WHERE notifier = $1 AND taken_until <= $2 ORDER BY kept_at, id LIMIT $3`
	sqlCountEvents      = `SELECT count(*) FROM outbox WHERE notifier = $1`
	sqlBacklog          = `SELECT notifier, count(*), min(kept_at) FROM outbox GROUP BY notifier ORDER BY notifier`
	sqlDropOldest       = `DELETE FROM outbox WHERE notifier = $1 AND id IN (SELECT id FROM outbox WHERE notifier = $1 ORDER BY kept_at, id LIMIT $2)`
	sqlClaimEvent       = `UPDATE outbox SET taken_until = $3 WHERE notifier = $1 AND id = $2`
	sqlDropEvent        = `DELETE FROM outbox WHERE notifier = $1 AND id = $2`
	sqlAuditHash        = `SELECT hash FROM audit WHERE seq = $1`
	sqlAuditLast        = `SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1`
	sqlAuditCount       = `SELECT count(*) FROM audit`
	sqlAuditUp          = `SELECT seq, entry, hash FROM audit WHERE seq > $1 AND seq < $2 ORDER BY seq LIMIT $3`
	sqlAuditDown        = `SELECT seq, entry, hash FROM audit WHERE seq > $1 AND seq < $2 ORDER BY seq DESC LIMIT $3`
	sqlAuditUpOf        = `SELECT seq, entry, hash FROM audit WHERE seq > $1 AND seq < $2 AND secret = $4 ORDER BY seq LIMIT $3`
	sqlAuditDownOf      = `SELECT seq, entry, hash FROM audit WHERE seq > $1 AND seq < $2 AND secret = $4 ORDER BY seq DESC LIMIT $3`
	sqlHead             = `SELECT seq, hash, mac FROM audit_head WHERE id = 1`
	sqlAuditEnd         = `SELECT seq FROM audit_head WHERE id = 1`
	sqlInsertHead       = `INSERT INTO audit_head (id, seq, hash, mac) VALUES (1, $1, $2, $3)`
	sqlUpdateHead       = `UPDATE audit_head SET seq = $1, hash = $2, mac = $3 WHERE id = 1`
	sqlCommit           = `COMMIT`
	sqlRollback         = `ROLLBACK`
)
