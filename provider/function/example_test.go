package function_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/rota-dev/rota/app"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/function"
)

// startPython starts a rotation function with AWS's SDK for Python, and returns the
// port at which it takes the Invoke call.
func startPython(t testing.TB, endpoint string) string {
	t.Helper()
	cmd := exec.Command(testenv.VenvProgram(t, "python"), "testdata/rotate.py")
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL_SECRETS_MANAGER="+endpoint, "AWS_ACCESS_KEY_ID="+keyID, "AWS_SECRET_ACCESS_KEY="+secretKey, "AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(port)
}

// The example on the provider's page rotates as it stands there, with a function in
// Python and a real PostgreSQL; only addresses and folders are the test's.
func TestTheExampleRotates(t *testing.T) {
	db := testenv.Postgres(t, testenv.PostgresOptions{})
	login := func(user, password string) error {
		c, err := pgx.Connect(t.Context(), fmt.Sprintf("host=%s port=%d user=%s password=%s dbname=postgres", db.Host, db.Port, user, password))
		if err != nil {
			return err
		}
		return c.Close(context.WithoutCancel(t.Context()))
	}
	db.Exec(t, "CREATE ROLE orders LOGIN PASSWORD 'first-canary-6Yt3'")
	listen, dir := testenv.Address(t), t.TempDir()
	port := startPython(t, "http://"+listen)
	config := filepath.Join(dir, "rota.yaml")
	text := strings.NewReplacer("127.0.0.1:9000", "127.0.0.1:"+port, "127.0.0.1:9001", listen, "/run/secrets", dir, "/etc/orders", dir).Replace(function.Provider().Example)
	for path, content := range map[string]string{config: text, filepath.Join(dir, "function"): secretKey + "\n"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	said := ""
	rota := func(stdin string, want int, args ...string) string {
		t.Helper()
		var out bytes.Buffer
		if code := app.Run(t.Context(), app.Options{}, append(args, "-c", config), []string{"ROTA_DATA_DIR=" + filepath.Join(dir, "data")}, strings.NewReader(stdin), &out, &out); code != want {
			t.Fatalf("rota %s: code %d\n%s", strings.Join(args, " "), code, out.String())
		}
		said += out.String()
		return out.String()
	}
	written := func() map[string]string {
		t.Helper()
		content, err := os.ReadFile(filepath.Join(dir, "db.env"))
		if err != nil {
			t.Fatal(err)
		}
		fields := map[string]string{}
		for line := range strings.Lines(string(content)) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			fields[name] = strings.Trim(value, `'"`)
		}
		return fields
	}

	// A function has nothing to begin with, and the hint leads on.
	if out := rota("", 1, "rotate", "prod/orders-db", "--yes"); !strings.Contains(out, "rota adopt prod/orders-db --from -") {
		t.Errorf("without a credential: %s", out)
	}
	rota(fmt.Sprintf(`{"engine":"postgres","host":%q,"port":"%d","dbname":"postgres","username":"orders","password":"first-canary-6Yt3"}`, db.Host, db.Port), 0, "adopt", "prod/orders-db", "--from", "-")
	rota("", 0, "check")
	rota("", 0, "rotate", "prod/orders-db", "--yes")
	second := written()["DB_PASSWORD"]
	if err := login("orders", second); err != nil || second == "" {
		t.Errorf("the new password: %v", err)
	}
	if err := login("orders", "first-canary-6Yt3"); err == nil {
		t.Error("the old password still logs in")
	}
	rota("", 0, "rotate", "prod/orders-db", "--yes")
	rota("", 0, "rollback", "prod/orders-db", "--yes")
	if got := written()["DB_PASSWORD"]; got != second {
		t.Error("after the rollback, another password is delivered")
	}
	if err := login("orders", second); err != nil {
		t.Errorf("after the rollback: %v", err)
	}
	rota("", 0, "status")
	for _, value := range []string{"first-canary-6Yt3", second, secretKey} {
		if strings.Contains(said, value) {
			t.Errorf("a value is in what Rota says:\n%s", said)
		}
	}
}
