package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/rota-dev/rota"
)

// LastUsed checks whether the user has open sessions on this server right now:
// the evidence is a sample, and sessions on replicas aren't visible. Those of all
// accounts of that name count.
func (a *accounts) LastUsed(ctx context.Context, credentialID string) (rota.Use, error) {
	op := "look for sessions of user " + credentialID
	if _, err := a.named(op, credentialID); err != nil {
		return rota.Use{}, err
	}
	var found []row
	var sees bool
	err := a.conn.within(ctx, op, func(ctx context.Context, conn *sql.Conn) error {
		var err error
		if sees, err = seesSessions(ctx, conn); err != nil || !sees {
			return err
		}
		found, err = rows(ctx, conn, `SELECT `+withoutPort("HOST")+` AS place, COUNT(*) AS n
			FROM information_schema.PROCESSLIST WHERE BINARY USER = `+literal(credentialID)+` GROUP BY 1 ORDER BY 2 DESC, 1`)
		return err
	})
	if err != nil {
		return rota.Use{}, err
	}
	if !sees {
		return rota.Use{Remedies: rota.Outside(a.conn.grantProcess())}, nil
	}
	use := rota.Use{Evidence: rota.EvidenceSampled}
	if len(found) > 0 {
		use.At = time.Now().UTC()
		use.Detail = describe(found)
	}
	return use, nil
}

// withoutPort is an expression for a client's host. That of IPv6 has colons of its own.
func withoutPort(client string) string {
	return "IF(" + client + " LIKE '%:%', LEFT(" + client + ", CHAR_LENGTH(" + client + ") - 1 - CHAR_LENGTH(SUBSTRING_INDEX(" + client + ", ':', -1))), " + client + ")"
}

// seesSessions reports whether Rota may see others' sessions. Without PROCESS,
// they're simply missing, which would look as if nobody used the account. This
// table can't be read without it.
func seesSessions(ctx context.Context, conn *sql.Conn) (bool, error) {
	_, err := rows(ctx, conn, "SELECT 1 FROM information_schema.INNODB_TRX LIMIT 1")
	if code(err) == codeSpecificDenied {
		return false, nil
	}
	return err == nil, err
}

func (c *Connection) grantProcess() string {
	return "GRANT PROCESS ON *.* TO " + name(c.cfg.Username)
}

// describe names the first few places sessions come from.
func describe(found []row) string {
	const most = 3
	var places []string
	for i, r := range found {
		if i == most {
			places = append(places, fmt.Sprintf("and %d more places", len(found)-most))
			break
		}
		place := r["n"] + " sessions"
		if r["n"] == "1" {
			place = "1 session"
		}
		if r["place"] != "" {
			place += " from " + r["place"]
		}
		places = append(places, place)
	}
	return strings.Join(places, "; ")
}
