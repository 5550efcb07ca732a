package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/aws/awstest"
)

const config = `
connections:
  prod: {aws: {endpoint: "${env:ENDPOINT}", region: eu-central-1, access_key_id: "${env:ADMIN_ID}", secret_access_key: "${env:ADMIN_SECRET}"}}
secrets:
  - name: cms
    issuer: {connection: prod, iam_access_key: {user: cms}}
    reload:
      - name: app
        command: {run: [sh, -c, "touch reloading; test -e quick || sleep 60"], dir: "${env:DIR}", timeout: 2m}
    policy: {rotate_every: 90d, deactivate_previous_after: 10d, delete_previous_after: 20d}
`

// TestASignalHandsBackWhatIsInHand ends the real program in the middle of a
// reload. It must end soon, with its progress written down and its lease given
// back, and the next run must go on from there.
func TestASignalHandsBackWhatIsInHand(t *testing.T) {
	cloud, err := awstest.New(awstest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cloud.Close)
	cloud.CreateUser("cms")
	id, secret := cloud.RootCredentials()
	dir := t.TempDir()
	program, err := testenv.Program(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "rota.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	rota := func(out *bytes.Buffer, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "DIR="+dir, "ROTA_DATA_DIR="+filepath.Join(dir, "data"), "ROTA_CONFIG=rota.yaml",
			"ENDPOINT="+cloud.URL(), "ADMIN_ID="+id, "ADMIN_SECRET="+secret)
		cmd.Stdout, cmd.Stderr = out, out
		return cmd
	}

	var first bytes.Buffer
	cmd := rota(&first, "run")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	wait(t, ended, func() bool {
		_, err := os.Stat(filepath.Join(dir, "reloading"))
		return err == nil
	})
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		_ = cmd.Process.Kill()
		t.Fatalf("the signal did not end it:\n%s", first.String())
	}
	if !strings.Contains(first.String(), "interrupted") {
		t.Errorf("it does not say that it was interrupted:\n%s", first.String())
	}
	if code := cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("exit code %d, want 1:\n%s", code, first.String())
	}

	if err := os.WriteFile(filepath.Join(dir, "quick"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var second bytes.Buffer
	if err := rota(&second, "run", "--all").Run(); err != nil {
		t.Fatalf("the next run: %v\n%s", err, second.String())
	}
	if got := second.String(); !strings.Contains(got, "  reload ") || strings.Contains(got, "  create ") {
		t.Errorf("the next run did not go on from the reload:\n%s", got)
	}
	if keys := cloud.Keys("cms"); len(keys) != 1 {
		t.Errorf("there are %d keys, want 1", len(keys))
	}
}

// wait polls until a condition holds, and fails where the program has ended
// before.
func wait(t *testing.T, ended <-chan error, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for !holds() {
		select {
		case err := <-ended:
			t.Fatalf("the program ended early: %v", err)
		case <-deadline:
			t.Fatal("it never came to the reload")
		case <-tick.C:
		}
	}
}
