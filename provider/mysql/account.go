package mysql

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rota-dev/rota"
)

// account is what MariaDB knows a login by: the user's name, and where the client
// may be.
type account struct{ user, host string }

// newAccount checks a name. "" as the host is "%".
func newAccount(user, host string) (account, error) {
	if host == "" {
		host = "%"
	}
	switch {
	case user == "":
		return account{}, errors.New("the user's name is empty")
	case utf8.RuneCountInString(user) > 128:
		return account{}, fmt.Errorf("user %s: a name has at most 128 characters", user)
	case len(host) > 255:
		return account{}, fmt.Errorf("user %s: its host has at most 255 characters", user)
	case strings.ContainsRune(user+host, 0):
		return account{}, errors.New("the account's name contains a NUL character")
	case strings.HasSuffix(user, " "):
		return account{}, fmt.Errorf("user %q: MariaDB drops spaces at the end of a name", user)
	case strings.EqualFold(user, "public"):
		return account{}, fmt.Errorf("user %s: MariaDB reserves that name", user)
	}
	return account{user, strings.ToLower(host)}, nil // as the server does
}

// String is the account as statements have it, Rota's own and those that people run.
func (a account) String() string { return name(a.user) + "@" + name(a.host) }

// name quotes a user's or a host's name. What a backslash means in a text depends on
// the session's sql_mode, and a person's may have another one than Rota's. It means
// itself between backticks.
func name(text string) string {
	if strings.Contains(text, `\`) {
		return backticks(text)
	}
	return literal(text)
}

// literal quotes a text. Backslashes mean themselves in Rota's own sessions.
func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// where is a condition for the account's rows in one of the tables of grants.
func (a account) where() string {
	return " WHERE User = " + literal(a.user) + " AND Host = " + literal(a.host)
}

// state is one account as mysql.global_priv shows it.
type state struct {
	account account
	raw     map[string]json.RawMessage

	Plugin  string            `json:"plugin"`
	Stored  string            `json:"authentication_string"`
	Or      []json.RawMessage `json:"auth_or"`
	Locked  bool              `json:"account_locked"`
	Role    bool              `json:"is_role"`
	Changed *int64            `json:"password_last_changed"` // 0 if it was made to expire
	Days    *int64            `json:"password_lifetime"`     // nil and negative: the server's default
	TLS     int               `json:"ssl_type"`              // 0 for none, 1 for any, or a client's certificate
	Most    int               `json:"max_user_connections"`
	Access  uint64            `json:"access"`

	defaultDays int64

	// MySQL's alone, which has them in columns of mysql.user.
	isMySQL  bool
	second   string // what the plugin stores for a second password, "" for none
	factors  int    // what it asks for besides the password
	attempts int    // failed logins in a row that lock the account; 0 for any number

	asksCurrent bool // PASSWORD REQUIRE CURRENT, of the account or by the server's default

	lockAfter, lockDays int // FAILED_LOGIN_ATTEMPTS and PASSWORD_LOCK_TIME as they were set
}

// gone reports whether the account has no credential that could ever log in again:
// it has no password, or Delete has replaced that by one that nobody knows.
func (s state) gone() bool {
	form := storedForms[s.Plugin]
	return form != nil && !form.MatchString(s.Stored) || isNobodys(s.Stored) || s.Locked && s.expired()
}

// expired reports whether the password was made to expire.
func (s state) expired() bool { return s.Changed != nil && *s.Changed == 0 }

// unsettable says why the account's password can't be set, "" if it can.
func (s state) unsettable() string {
	switch {
	case s.Role:
		return "it's a role, which nobody logs in as"
	case s.factors > 0:
		return "it asks for a second factor, which Rota doesn't have, so a new password couldn't be tested"
	case len(s.Or) > 0:
		return "it has several ways to log in, and setting a password would drop the others"
	case storedForms[s.Plugin] == nil, s.isMySQL != (s.Plugin == pluginSHA2) && s.Plugin != pluginNative:
		return "its plugin " + s.Plugin + " has no password that Rota could set"
	}
	return ""
}

// longestSHA2 is the longest password that caching_sha2_password lets log in. It takes
// the hash of a longer one without complaint.
const longestSHA2 = 256

// tooLong is an error for a password whose hash would lock everyone out.
func (s state) tooLong(length int) error {
	if s.Plugin == pluginSHA2 && length > longestSHA2 {
		return rota.WithRemedies(fmt.Errorf("a password of %d bytes can't log in: the plugin %s takes %d at most", length, pluginSHA2, longestSHA2),
			rota.Configure("length", fmt.Sprintf("length: %d at most", longestSHA2)))
	}
	return nil
}

// settable says how the account gets a password that Rota can set.
func (s state) settable() string {
	if s.factors > 0 {
		return "ALTER USER " + s.account.String() + " DROP 2 FACTOR, if a program logs in as it; an account for a person isn't Rota's to rotate"
	}
	if s.isMySQL {
		return "ALTER USER " + s.account.String() + " IDENTIFIED WITH " + pluginSHA2 + " BY RANDOM PASSWORD"
	}
	return "ALTER USER " + s.account.String() + " IDENTIFIED VIA ed25519 or mysql_native_password alone"
}

// as is the clause that gives a MySQL account what a plugin stores for a password.
// Salts may have any character, so it's sent as bytes.
func (s state) as(stored string) string {
	return fmt.Sprintf("IDENTIFIED WITH %s AS 0x%X", s.Plugin, stored)
}

// ends is when the password expires by itself, zero for never.
func (s state) ends() time.Time {
	days := s.defaultDays
	if s.Days != nil && *s.Days >= 0 {
		days = *s.Days
	}
	if days == 0 || s.Changed == nil || *s.Changed == 0 {
		return time.Time{}
	}
	return time.Unix(*s.Changed, 0).UTC().AddDate(0, 0, int(days))
}

// errOtherServer is a server whose accounts are kept in another way.
var errOtherServer = errors.New("the server is neither MariaDB 10.4 or later nor MySQL 8.0.14 or later")

// product returns the server's name and version, and whether it's MySQL rather than
// MariaDB.
func product(ctx context.Context, conn *sql.Conn) (shown string, isMySQL bool, err error) {
	found, err := rows(ctx, conn, "SELECT VERSION() AS version")
	if err != nil {
		return "", false, err
	}
	version := found[0]["version"]
	if strings.Contains(strings.ToLower(version), "mariadb") {
		return "MariaDB " + version, false, nil
	}
	return "MySQL " + version, true, nil
}

// readStates reads accounts by their users' names: those named, and others of the
// same names at other hosts.
func readStates(ctx context.Context, conn *sql.Conn, accounts []account) ([]state, error) {
	names := make([]string, len(accounts))
	for i, a := range accounts {
		names[i] = literal(a.user)
	}
	in := "(" + strings.Join(names, ", ") + ")"
	_, isMySQL, err := product(ctx, conn)
	if err != nil {
		return nil, err
	}
	if isMySQL {
		return readMySQL(ctx, conn, in)
	}
	found, err := rows(ctx, conn, "SELECT User, Host, Priv, @@default_password_lifetime AS days FROM mysql.global_priv WHERE User IN "+in+" ORDER BY User, Host")
	if code(err) == codeNoSuchTable || code(err) == codeUnknownVariable {
		return nil, errOtherServer
	}
	if err != nil {
		return nil, err
	}
	var all []state
	for _, r := range found {
		s := state{account: account{r["User"], strings.ToLower(r["Host"])}}
		priv := []byte(r["Priv"])
		if json.Unmarshal(priv, &s) != nil || json.Unmarshal(priv, &s.raw) != nil {
			return nil, fmt.Errorf("what the server says about account %s can't be read", s.account) // not repeated: it has hashes
		}
		if s.Plugin == "" && !s.Role {
			s.Plugin = pluginNative
		}
		s.defaultDays, _ = strconv.ParseInt(r["days"], 10, 64)
		all = append(all, s)
	}
	return all, nil
}
