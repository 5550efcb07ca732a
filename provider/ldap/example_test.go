package ldap_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	driver "github.com/go-ldap/ldap/v3"

	"github.com/rota-dev/rota/app"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/ldap"
)

// The example on the provider's page rotates as it stands there; only the server's
// address, the folders and the unit's restart are the test's.
func TestTheExampleRotates(t *testing.T) {
	page, err := os.ReadFile("../../docs/providers/ldap.md")
	if err != nil || !strings.Contains(string(page), permissions(testenv.SlapdAccess)) {
		t.Errorf("the test's server allows something else than docs/providers/ldap.md (%v)", err)
	}
	s := testenv.StartSlapd(t, testenv.SlapdOptions{Lines: "lastbind on\n"})
	dir := t.TempDir()
	file := strings.NewReplacer("ldaps://ldap.internal", s.URL, "/run/secrets", dir, "/etc/orders", dir, "[systemctl, restart, orders]", `["true"]`).Replace(ldap.Provider().Example)
	config := filepath.Join(dir, "rota.yaml")
	for path, text := range map[string]string{config: file, filepath.Join(dir, "ldap"): "admin-canary-3Xw9"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, entry := range []struct{ dn, class, password string }{
		{"cn=rota,dc=example,dc=com", "applicationProcess", "admin-canary-3Xw9"}, {"uid=orders,ou=apps,dc=example,dc=com", "account", "before-rota"}, {"uid=mail,ou=apps,dc=example,dc=com", "account", "before-rota"},
	} {
		r := driver.NewAddRequest(entry.dn, nil)
		r.Attribute("objectClass", []string{entry.class, "simpleSecurityObject"})
		r.Attribute("userPassword", []string{entry.password})
		s.Do(t, func(conn *driver.Conn) error { return conn.Add(r) })
	}
	rota := func(args ...string) string {
		t.Helper()
		var out bytes.Buffer
		if code := app.Run(t.Context(), app.Options{}, append(args, "-c", config), []string{"PATH=" + os.Getenv("PATH"), "ROTA_DATA_DIR=" + filepath.Join(dir, "data")}, strings.NewReader(`{"password": "before-rota"}`), &out, &out); code != 0 {
			t.Fatalf("rota %s: code %d\n%s", strings.Join(args, " "), code, out.String())
		}
		return out.String()
	}
	has := func(dn string, want int) {
		t.Helper()
		if values, err := s.Passwords(dn); err != nil || len(values) != want {
			t.Errorf("%s has %d passwords, want %d (%v)", dn, len(values), want, err)
		}
	}
	rota("check")
	rota("adopt", "prod/mail-ldap", "--from", "-")
	rota("run")
	has("uid=orders,ou=apps,dc=example,dc=com", 2) // with the one in use before
	rota("rotate", "prod/orders-ldap", "--yes")
	has("uid=orders,ou=apps,dc=example,dc=com", 3)
	rota("rollback", "prod/orders-ldap", "--yes")
	text, err := os.ReadFile(filepath.Join(dir, "ldap.env"))
	if err != nil || !strings.Contains(string(text), "uid=orders,ou=apps,dc=example,dc=com") {
		t.Errorf("%v\n%s", err, strings.Split(string(text), "LDAP_PASSWORD")[0])
	}
	rota("rotate", "prod/mail-ldap", "--yes")
	has("uid=mail,ou=apps,dc=example,dc=com", 1)
	rota("check")
}

// permissions are the rules as the page has them: it needs none for entries elsewhere.
func permissions(access string) string {
	rules := strings.Split(access, "access to ")
	return "access to " + rules[1] + "access to " + rules[3]
}
