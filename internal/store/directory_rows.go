package store

import (
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
)

// principalRow is a principal with at most one of its keys.
type principalRow struct {
	name, rules     string
	disabled        int
	created         int64
	keyID           sql.NullString
	keyDisabled     sql.NullInt64
	keyCreated      sql.NullInt64
	expires, usedAt sql.NullInt64
}

// fields are the scan targets, in the order of the queries.
func (r *principalRow) fields() []any {
	return []any{&r.name, &r.rules, &r.disabled, &r.created, &r.keyID, &r.keyDisabled, &r.keyCreated, &r.expires, &r.usedAt}
}

func (r *principalRow) principal() (access.Principal, error) {
	p := access.Principal{Name: r.name, Disabled: r.disabled != 0, CreatedAt: fromMicros(r.created)}
	if err := json.Unmarshal([]byte(r.rules), &p.Rules); err != nil {
		return access.Principal{}, rota.WithRemedies(fmt.Errorf("the rules of principal %q can't be parsed: the database is damaged", r.name), rota.Outside("restore a backup"))
	}
	return p, nil
}

func (r *principalRow) key() access.Key {
	return access.Key{
		ID: r.keyID.String, Disabled: r.keyDisabled.Int64 != 0, CreatedAt: fromMicros(r.keyCreated.Int64),
		ExpiresAt: fromMicros(r.expires.Int64), UsedAt: fromMicros(r.usedAt.Int64),
	}
}

// addPrincipal reads one row into the list of principals, which is sorted by
// name and key id.
func addPrincipal(all []access.Principal, row scanner) ([]access.Principal, error) {
	var r principalRow
	if err := row.Scan(r.fields()...); err != nil {
		return nil, err
	}
	if n := len(all); n == 0 || all[n-1].Name != r.name {
		p, err := r.principal()
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	if r.keyID.Valid {
		p := &all[len(all)-1]
		p.Keys = append(p.Keys, r.key())
	}
	return all, nil
}

// principals reads all principals inside the transaction.
func (t *tx) principals() (all []access.Principal, err error) {
	err = t.rows(sqlPrincipals, nil, func(row scanner) (err error) {
		all, err = addPrincipal(all, row)
		return err
	})
	return all, err
}

func rulesText(rules []access.Rule) (string, error) {
	if rules == nil {
		rules = []access.Rule{}
	}
	text, err := json.Marshal(rules)
	return string(text), err
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
