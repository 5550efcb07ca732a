package mysql

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/rota-dev/rota/internal/testenv"
)

// MySQL has no slow_query_log for a session. Statements without an index are logged
// however quick they are: the check warns, unless Rota's account may turn that off.
func TestValuesStayOutOfMySQLsSlowLog(t *testing.T) {
	log := filepath.Join(t.TempDir(), "slow.log")
	s := testenv.MySQL(t, testenv.MySQLOptions{Args: []string{"--slow-query-log", "--slow-query-log-file=" + log, "--long-query-time=0"}})
	table, login := keysTableAt(t, s.Exec, "WITH caching_sha2_password AS 0x"+hex.EncodeToString([]byte(must(stored(pluginSHA2, "", adminPassword)))))
	open := func() *tableRow {
		cfg := Config{Host: s.Host, Port: s.Port, Username: login, Password: adminPassword, SSLMode: sslVerifyCA, SSLCA: s.CAFile}
		return must(connect(t, cfg).Row("settings", rowOf(t, table, updateMail, readMail))).(*tableRow)
	}
	permit(t, s, open())
	has := func(value string) bool { return bytes.Contains(must(os.ReadFile(log)), []byte(value)) }
	deliver(t, open(), 1)
	if !testenv.FindingOf(t, open(), "the server's slow log").OK || has("secret-row-canary-1") {
		t.Error("values are in the slow log")
	}
	s.Exec(t, "ALTER TABLE "+table+" DROP INDEX name", "SET GLOBAL log_queries_not_using_indexes = 1")
	deliver(t, open(), 2)
	if f := testenv.FindingOf(t, open(), "the server's slow log"); f.OK || !f.Warning || !has("secret-row-canary-2") {
		t.Errorf("the check says %+v, and the log has values: %t", f, has("secret-row-canary-2"))
	}
	s.Exec(t, "GRANT SESSION_VARIABLES_ADMIN ON *.* TO "+login)
	deliver(t, open(), 3)
	if !testenv.FindingOf(t, open(), "the server's slow log").OK || has("secret-row-canary-3") {
		t.Error("values are in the slow log though the account may turn that off")
	}
}
