package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rota-dev/rota/internal/cli"
)

// tried runs rota provider test on the example in shell, after a change.
func tried(t *testing.T, change func(string) string, flags ...string) (code int, out, errs string) {
	t.Helper()
	text, err := os.ReadFile("../../examples/command/issuer.sh")
	if err != nil {
		t.Fatal(err)
	}
	changed := change(string(text))
	dir := t.TempDir()
	program, settings := filepath.Join(dir, "issuer.sh"), filepath.Join(dir, "settings.json")
	given, err := json.Marshal(map[string]string{"file": filepath.Join(dir, "passwords"), "username": "shop"})
	if err == nil {
		err = errors.Join(os.Chmod(dir, 0o755), os.WriteFile(program, []byte(changed), 0o755), os.WriteFile(settings, given, 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	args := append([]string{"provider", "test", "--settings", settings}, append(flags, program)...)
	code = cli.Program{Env: os.Environ(), Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr}.Run(context.Background(), args)
	return code, stdout.String(), stderr.String()
}

func unchanged(s string) string { return s }

func TestAProgramThatKeepsTheContractPasses(t *testing.T) {
	code, out, errs := tried(t, unchanged, "--yes")
	if code != 0 || strings.Contains(out, "FAIL") {
		t.Fatalf("exit code %d:\n%s%s", code, out, errs)
	}
	for _, want := range []string{
		"PASS  a credential that was created and set logs in (", "PASS  faults: a call that's sent twice does no harm (",
		"the list shows what exists (does not apply)", " passed, 0 failed, ",
		"In rota.yaml:\n    issuer:\n      command:\n        run: [\"/", "        fields: [\"username\",\"password\"]\n        id: \"username\"\n        limit: 1\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("it doesn't print %q:\n%s", want, out)
		}
	}
}

// The program takes any password, shows the one that it sets, and takes any verb.
func TestAProgramThatBreaksTheContractFails(t *testing.T) {
	code, out, errs := tried(t, strings.NewReplacer(
		`|| fail refused 'wrong password'`, "|| true",
		"\tumask 077\n", "\techo \"$password\" >&2\n",
		"fail stop 'this program does not know the verb'", "succeed",
	).Replace, "--yes", "--patience", "1ms", "--output", "json")
	var doc struct {
		Failed int
		Cases  []struct {
			Case     string
			Messages []string
		}
	}
	if err := json.Unmarshal([]byte(out), &doc); err != nil || code != 1 {
		t.Fatalf("exit code %d, %v:\n%s%s", code, err, out, errs)
	}
	said := map[string]string{}
	for _, c := range doc.Cases {
		said[c.Case] = strings.Join(c.Messages, "\n")
	}
	for name, want := range map[string]string{
		"a wrong credential is refused":                 "it logs in",
		"a credential that was created and set logs in": "set: it writes the value of field password to its standard error",
		"what it doesn't know, it refuses":              "a verb that the protocol doesn't have",
	} {
		if !strings.Contains(said[name], want) {
			t.Errorf("%s: it says %q, want %q", name, said[name], want)
		}
	}
	if doc.Failed == 0 || doc.Failed == len(doc.Cases) {
		t.Errorf("%d of %d cases failed", doc.Failed, len(doc.Cases))
	}
}

func TestNothingIsTriedWhereItCouldDoHarm(t *testing.T) {
	code, out, errs := tried(t, unchanged)
	if code != 2 || out != "" || !strings.Contains(errs, "Replace the only credential") {
		t.Errorf("without --yes: exit code %d:\n%s%s", code, out, errs)
	}
	code, out, errs = tried(t, func(s string) string {
		s = strings.Replace(s, `"limit": 1, "test_successes": 1, "verbs": ["in_force"]`, `"verbs": ["list"]`, 1)
		return strings.Replace(s, "set) #", "list) succeed ', \"credentials\": [{\"id\": \"somebodys\"}]' ;;\nset) #", 1)
	}, "--yes")
	if code != 1 || out != "" || !strings.Contains(errs, "the account has credentials, such as somebodys: nothing was done") {
		t.Errorf("an account that's in use: exit code %d:\n%s%s", code, out, errs)
	}
}
