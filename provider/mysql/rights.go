package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strings"
)

// level is how two accounts get the same rights.
const level = "GRANT the same privileges and roles to both accounts, and ALTER USER for the same REQUIRE, WITH and PASSWORD EXPIRE"

// grantTables are the server's tables with what accounts have beyond
// mysql.global_priv. Rota reads them to compare the accounts of a pair.
var grantTables = []string{"db", "tables_priv", "columns_priv", "procs_priv", "proxies_priv", "roles_mapping"}

// lacks names what another of the accounts has and this one doesn't: a consumer
// would miss it.
func (a *accounts) lacks(ctx context.Context, op string, one account) ([]string, error) {
	var all []string
	for _, other := range a.all {
		if other == one {
			continue
		}
		missing, _, err := a.compare(ctx, op, one, other)
		if err != nil {
			return nil, err
		}
		all = append(all, missing...)
	}
	return all, nil
}

// compare names what each of two accounts lacks of what the other has, sorted. An
// attribute that differs is lacking in both.
func (a *accounts) compare(ctx context.Context, op string, one, other account) (oneLacks, otherLacks []string, err error) {
	var has [2]map[string]bool
	err = a.conn.within(ctx, op, func(ctx context.Context, conn *sql.Conn) error {
		found, err := readStates(ctx, conn, a.all)
		if err != nil {
			return err
		}
		for i, who := range []account{one, other} {
			if has[i], err = rights(ctx, conn, who, found); err != nil {
				return err
			}
		}
		return nil
	})
	return without(has[1], has[0]), without(has[0], has[1]), err
}

// without is what the first has and the second doesn't, sorted.
func without(first, second map[string]bool) []string {
	var only []string
	for _, right := range slices.Sorted(maps.Keys(first)) {
		if !second[right] {
			only = append(only, right)
		}
	}
	return only
}

// ownFields are the fields of an account's Priv that differ between two accounts
// with the same rights, or that are compared by their parts.
var ownFields = []string{"access", "version_id", "plugin", "authentication_string", "auth_or", "password_last_changed", "account_locked", "is_role"}

// attributeNames are other fields of Priv as ALTER USER has them. What an account
// doesn't have of these is compared as well: it may be held to more than the other.
var attributeNames = map[string]string{
	"ssl_type": "REQUIRE", "ssl_cipher": "REQUIRE CIPHER", "x509_issuer": "REQUIRE ISSUER", "x509_subject": "REQUIRE SUBJECT",
	"max_questions": "MAX_QUERIES_PER_HOUR", "max_updates": "MAX_UPDATES_PER_HOUR", "max_connections": "MAX_CONNECTIONS_PER_HOUR",
	"max_user_connections": "MAX_USER_CONNECTIONS", "max_statement_time": "MAX_STATEMENT_TIME",
	"password_lifetime": "PASSWORD EXPIRE", "default_role": "DEFAULT ROLE",
}

// requirements are the values of ssl_type.
var requirements = map[string]string{"1": "SSL", "2": "X509", "3": "of a certificate"}

// rights are all that an account has, in words. Who has nothing has none.
func rights(ctx context.Context, conn *sql.Conn, who account, found []state) (map[string]bool, error) {
	has := map[string]bool{}
	i := slices.IndexFunc(found, func(s state) bool { return s.account == who })
	if i < 0 {
		return has, nil
	}
	if found[i].isMySQL {
		return mysqlRights(ctx, conn, who)
	}
	for rest := found[i].Access; rest != 0; rest &= rest - 1 {
		has[privilegeName(bits.TrailingZeros64(rest))+" on *.*"] = true
	}
	for name, raw := range found[i].raw {
		if !slices.Contains(ownFields, name) && attributeNames[name] == "" {
			has[name+" "+string(raw)] = true // of a later release
		}
	}
	for name, shown := range attributeNames {
		value := strings.Trim(string(found[i].raw[name]), `"`)
		switch {
		case value == "" || value == "0" && name != "password_lifetime" || value == "-1":
			has["no "+shown] = true
		case name == "ssl_type":
			has[shown+" "+requirements[value]] = true
		default:
			has[shown+" "+value] = true
		}
	}
	for _, table := range grantTables {
		all, err := rows(ctx, conn, "SELECT * FROM mysql."+table+who.where())
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

// granted are the rights in one row of a table of grants.
func granted(table string, r row) []string {
	var all []string
	each := func(set, on string) {
		for privilege := range strings.SplitSeq(set, ",") {
			if privilege != "" {
				all = append(all, strings.ToUpper(privilege)+" on "+on)
			}
		}
	}
	switch table {
	case "db":
		for column, value := range r {
			if privilege, ok := strings.CutSuffix(column, "_priv"); ok && value == "Y" {
				each(strings.ReplaceAll(privilege, "_", " "), r["Db"]+".*")
			}
		}
	case "tables_priv":
		each(r["Table_priv"], r["Db"]+"."+r["Table_name"])
	case "columns_priv":
		each(r["Column_priv"], fmt.Sprintf("%s.%s (%s)", r["Db"], r["Table_name"], r["Column_name"]))
	case "procs_priv":
		each(r["Proc_priv"], strings.ToLower(r["Routine_type"])+" "+r["Db"]+"."+r["Routine_name"])
	case "proxies_priv":
		all = append(all, fmt.Sprintf("PROXY on %s@%s", r["Proxied_user"], r["Proxied_host"])+option(r["With_grant"] == "1", " with grant option"))
	case "global_grants":
		all = append(all, r["PRIV"]+" on *.*"+option(r["WITH_GRANT_OPTION"] == "Y", " with grant option"))
	case "role_edges":
		all = append(all, "role "+r["FROM_USER"]+"@"+r["FROM_HOST"]+option(r["WITH_ADMIN_OPTION"] == "Y", " with admin option"))
	case "default_roles":
		all = append(all, "DEFAULT ROLE "+r["DEFAULT_ROLE_USER"]+"@"+r["DEFAULT_ROLE_HOST"])
	case "roles_mapping":
		all = append(all, "role "+r["Role"]+option(r["Admin_option"] == "Y", " with admin option"))
	}
	return all
}

func option(has bool, text string) string {
	if has {
		return text
	}
	return ""
}

// privilegeNames are those of the bits of a global access, from MariaDB's
// privilege.h.
var privilegeNames = []string{
	"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "RELOAD", "SHUTDOWN", "PROCESS", "FILE", "GRANT OPTION",
	"REFERENCES", "INDEX", "ALTER", "SHOW DATABASES", "SUPER", "CREATE TEMPORARY TABLES", "LOCK TABLES", "REPLICATION SLAVE",
	"BINLOG MONITOR", "CREATE VIEW", "SHOW VIEW", "CREATE ROUTINE", "ALTER ROUTINE", "CREATE USER", "EVENT", "TRIGGER",
	"CREATE TABLESPACE", "DELETE HISTORY", "SET USER", "FEDERATED ADMIN", "CONNECTION ADMIN", "READ_ONLY ADMIN",
	"REPLICATION SLAVE ADMIN", "REPLICATION MASTER ADMIN", "BINLOG ADMIN", "BINLOG REPLAY", "SLAVE MONITOR",
}

func privilegeName(bit int) string {
	if bit < len(privilegeNames) {
		return privilegeNames[bit]
	}
	return fmt.Sprintf("privilege %d", bit)
}

// most is how many things a finding names.
const most = 5

func list(things []string) string {
	if len(things) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(things[:most], ", "), len(things)-most)
	}
	return strings.Join(things, ", ")
}
