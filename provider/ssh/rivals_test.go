package ssh_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rota-dev/rota/app"
	"github.com/rota-dev/rota/internal/testenv"
)

// Two secrets for a user's keys on that host would take each other's keys for orphans.
func TestTwoSecretsForOneUserOfAHostWithTwoAddresses(t *testing.T) {
	a, b := testenv.SSHD(t, testenv.SSHOptions{}), testenv.SSHD(t, testenv.SSHOptions{})
	a.LetIn(a)
	b.LetIn(a)
	dir := t.TempDir()
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(dir, "key"), a.ClientKey)
	write(filepath.Join(dir, "known"), a.KnownHosts()+b.KnownHosts())
	var text strings.Builder
	text.WriteString("connections:\n")
	for name, s := range map[string]*testenv.SSHServer{"a": a, "b": b} {
		text.WriteString("  " + name + `: {ssh: {hosts: ["` + s.Addr + `"], user: ` + a.User + `, private_key: "${file:` + dir + `/key}", known_hosts: "${file:` + dir + `/known}"}}` + "\n")
	}
	text.WriteString("secrets:\n")
	for _, name := range []string{"a", "b"} {
		text.WriteString("  - {name: " + name + ", issuer: {connection: " + name + ", ssh_key: {user: " + a.User + "}}}\n")
	}
	config := filepath.Join(dir, "rota.yaml")
	write(config, text.String())
	var out bytes.Buffer
	code := app.Run(t.Context(), app.Options{}, []string{"check", "-c", config}, []string{"ROTA_DATA_DIR=" + filepath.Join(dir, "data")}, strings.NewReader(""), &out, &out)
	if code == 0 || !strings.Contains(strings.Join(strings.Fields(out.String()), " "), "is also used by secret") {
		t.Errorf("code %d:\n%s", code, out.String())
	}
}
