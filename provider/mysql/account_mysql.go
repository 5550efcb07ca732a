package mysql

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// codeUnknownColumn is a server without User_attributes, so one before MySQL 8.0.14.
const codeUnknownColumn = 1054

// readMySQL reads accounts where they are rows of mysql.user.
func readMySQL(ctx context.Context, conn *sql.Conn, in string) ([]state, error) {
	found, err := rows(ctx, conn, `SELECT User, Host, plugin, authentication_string, User_attributes, account_locked, password_expired,
		UNIX_TIMESTAMP(password_last_changed) AS changed, password_lifetime, ssl_type+0 AS tls, max_user_connections,
		COALESCE(Password_require_current, IF(@@password_require_current, 'Y', 'N')) AS asks, @@default_password_lifetime AS days FROM mysql.user WHERE User IN `+in+` ORDER BY User, Host`)
	if code(err) == codeNoSuchTable || code(err) == codeUnknownColumn {
		return nil, errOtherServer
	}
	if err != nil {
		return nil, err
	}
	var all []state
	for _, r := range found {
		s := state{
			isMySQL: true, account: account{r["User"], strings.ToLower(r["Host"])},
			Plugin: r["plugin"], Stored: r["authentication_string"], Locked: r["account_locked"] == "Y", asksCurrent: r["asks"] == "Y",
		}
		var attributes struct {
			Second  string            `json:"additional_password"`
			Factors []json.RawMessage `json:"multi_factor_authentication"`
			Locking struct {
				Attempts int `json:"failed_login_attempts"`
				Days     int `json:"password_lock_time_days"`
			} `json:"Password_locking"`
		}
		if text := r["User_attributes"]; text != "" && json.Unmarshal([]byte(text), &attributes) != nil {
			return nil, fmt.Errorf("what the server says about account %s can't be read", s.account) // not repeated: it has a hash
		}
		s.second, s.factors = attributes.Second, len(attributes.Factors)
		s.lockAfter, s.lockDays = attributes.Locking.Attempts, attributes.Locking.Days
		if attributes.Locking.Days != 0 {
			s.attempts = attributes.Locking.Attempts
		}
		if changed, err := strconv.ParseInt(strings.TrimSuffix(r["changed"], ".000000"), 10, 64); err == nil {
			s.Changed = &changed
		}
		if r["password_expired"] == "Y" {
			s.Changed = new(int64)
		}
		if days, err := strconv.ParseInt(r["password_lifetime"], 10, 64); err == nil {
			s.Days = &days
		}
		s.TLS, _ = strconv.Atoi(r["tls"])
		s.TLS = max(s.TLS-1, 0) // the first value of the enumeration is none
		s.Most, _ = strconv.Atoi(r["max_user_connections"])
		s.defaultDays, _ = strconv.ParseInt(r["days"], 10, 64)
		all = append(all, s)
	}
	return all, nil
}
