package mysql

import (
	"context"
	"database/sql"
	"strings"
)

// mysqlTables are MySQL's tables with what accounts have beyond mysql.user, and how
// each names the account.
var mysqlTables = map[string][2]string{
	"db": {"User", "Host"}, "tables_priv": {"User", "Host"}, "columns_priv": {"User", "Host"}, "procs_priv": {"User", "Host"},
	"proxies_priv": {"User", "Host"}, "global_grants": {"USER", "HOST"}, "role_edges": {"TO_USER", "TO_HOST"}, "default_roles": {"USER", "HOST"},
}

// mysqlAttributes are columns of mysql.user as ALTER USER has them.
var mysqlAttributes = map[string]string{
	"ssl_type": "REQUIRE", "ssl_cipher": "REQUIRE CIPHER", "x509_issuer": "REQUIRE ISSUER", "x509_subject": "REQUIRE SUBJECT",
	"max_questions": "MAX_QUERIES_PER_HOUR", "max_updates": "MAX_UPDATES_PER_HOUR", "max_connections": "MAX_CONNECTIONS_PER_HOUR",
	"max_user_connections": "MAX_USER_CONNECTIONS", "password_lifetime": "PASSWORD EXPIRE", "Password_reuse_history": "PASSWORD HISTORY",
	"Password_reuse_time": "PASSWORD REUSE INTERVAL", "Password_require_current": "PASSWORD REQUIRE CURRENT",
	"locking": "FAILED_LOGIN_ATTEMPTS", "restrictions": "partial revokes",
}

// mysqlRights are all that a MySQL account has, in words.
func mysqlRights(ctx context.Context, conn *sql.Conn, who account) (map[string]bool, error) {
	has := map[string]bool{}
	users, err := rows(ctx, conn, `SELECT *, JSON_EXTRACT(User_attributes, '$.Password_locking') AS locking,
		JSON_EXTRACT(User_attributes, '$.Restrictions') AS restrictions FROM mysql.user`+who.where())
	if err != nil || len(users) == 0 {
		return has, err
	}
	for column, value := range users[0] {
		if privilege, ok := strings.CutSuffix(column, "_priv"); ok && value == "Y" {
			has[globalName(privilege)+" on *.*"] = true
		}
	}
	for column, shown := range mysqlAttributes {
		value := users[0][column]
		switch {
		case value == "" || value == "0" && strings.HasPrefix(column, "max_"):
			has["no "+shown] = true
		default:
			has[shown+" "+value] = true
		}
	}
	for table, names := range mysqlTables {
		all, err := rows(ctx, conn, "SELECT * FROM mysql."+table+" WHERE "+names[0]+" = "+literal(who.user)+" AND "+names[1]+" = "+literal(who.host))
		if err != nil {
			return nil, err
		}
		for _, r := range all {
			for _, right := range granted(table, r) {
				has[right] = true
			}
		}
	}
	return has, nil
}

// globalName is a column of mysql.user as GRANT has it.
func globalName(column string) string {
	name := strings.ToUpper(strings.ReplaceAll(column, "_", " "))
	names := map[string]string{"GRANT": "GRANT OPTION", "SHOW DB": "SHOW DATABASES", "CREATE TMP TABLE": "CREATE TEMPORARY TABLES",
		"REPL SLAVE": "REPLICATION SLAVE", "REPL CLIENT": "REPLICATION CLIENT"}
	if other, ok := names[name]; ok {
		return other
	}
	return name
}
