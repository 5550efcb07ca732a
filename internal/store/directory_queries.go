package store

// SQL for principals and their keys.
const (
	sqlPrincipals = `SELECT p.name, p.rules, p.disabled, p.created_at, k.id, k.disabled, k.created_at, k.expires_at, k.used_at
		FROM principals p LEFT JOIN access_keys k ON k.principal = p.name
		ORDER BY p.name, k.id`
	sqlLogin = `SELECT p.name, p.rules, p.disabled, p.created_at, k.id, k.disabled, k.created_at, k.expires_at, k.used_at, k.secret
		FROM access_keys k JOIN principals p ON p.name = k.principal
		WHERE k.id = $1`
	sqlPutPrincipal = `INSERT INTO principals (name, rules, disabled, created_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (name) DO UPDATE SET rules = excluded.rules, disabled = excluded.disabled`
	sqlDeletePrincipal = `DELETE FROM principals WHERE name = $1`
	sqlInsertAccessKey = `INSERT INTO access_keys (id, principal, secret, disabled, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)`
	sqlUpdateAccessKey = `UPDATE access_keys SET disabled = $2, expires_at = $3 WHERE id = $1`
	sqlDeleteAccessKey = `DELETE FROM access_keys WHERE id = $1`
	sqlUseAccessKey    = `UPDATE access_keys SET used_at = $2 WHERE id = $1 AND used_at < $2`
)
