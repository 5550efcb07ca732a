package testenv

import (
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// motoReady is how long moto has to become ready, even on a busy machine.
const motoReady = 60 * time.Second

// MotoServer is a running moto, a third-party imitation of AWS. Its account is
// 123456789012. Until EnforceIAM, any caller can do anything.
type MotoServer struct {
	// URL is the endpoint of every service, without a trailing slash.
	URL string
}

// Moto starts an empty moto_server and stops it when the test ends.
func Moto(t testing.TB) *MotoServer {
	t.Helper()
	return moto(t, nil, VenvProgram(t, "moto_server"))
}

//go:embed moto_functions.py
var motoFunctions string

// MotoWithFunctions is [Moto] with Lambda functions: invoke handles calls to
// all of them, whatever their name. It receives an event and returns the
// answer, which is an error's unless ok. It doesn't run on the test's
// goroutine.
func MotoWithFunctions(t testing.TB, invoke func(event []byte) (answer []byte, ok bool)) *MotoServer {
	t.Helper()
	functions := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		event, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answer, ok := invoke(event)
		if !ok {
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = w.Write(answer)
	}))
	t.Cleanup(functions.Close)
	return moto(t, []string{"ROTA_TEST_FUNCTIONS=" + functions.URL}, VenvProgram(t, "python"), "-c", motoFunctions)
}

// moto starts the server with a command and additional environment variables.
func moto(t testing.TB, env []string, command ...string) *MotoServer {
	t.Helper()
	for attempt := range 3 { // another process can take the port first
		if m, ok := startMoto(t, env, command); ok {
			return m
		}
		t.Logf("moto_server did not start (attempt %d)", attempt+1)
	}
	t.Fatal("moto_server does not start")
	return nil
}

func startMoto(t testing.TB, env, command []string) (*MotoServer, bool) {
	t.Helper()
	port := FreePort(t)
	m := &MotoServer{URL: fmt.Sprintf("http://127.0.0.1:%d", port)}
	var output bytes.Buffer
	cmd := exec.Command(command[0], slices.Concat(command[1:], []string{"-H", "127.0.0.1", "-p", fmt.Sprint(port)})...)
	cmd.Dir = t.TempDir()
	ours := slices.DeleteFunc(os.Environ(), func(entry string) bool { return strings.HasPrefix(entry, "AWS_") }) // moto would read them too
	cmd.Env = slices.Concat(ours, env)
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", command[0], err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it is killed at the end; if it exits early, the output says why
		close(ended)
	}()
	stop := func() {
		_ = cmd.Process.Kill()
		<-ended
	}
	deadline := time.After(motoReady)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if m.answers() {
			t.Cleanup(stop)
			return m, true
		}
		select {
		case <-ended:
			t.Logf("moto_server ended: %s", output.String())
			return nil, false
		case <-deadline:
			stop()
			t.Logf("moto_server does not answer: %s", output.String())
			return nil, false
		case <-tick.C:
		}
	}
}

func (m *MotoServer) answers() bool {
	resp, err := http.Get(m.URL + "/moto-api/data.json")
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// EnforceIAM makes moto check keys, signatures and policies from now on. Create
// an administrator to work with before calling it.
func (m *MotoServer) EnforceIAM(t testing.TB) {
	t.Helper()
	m.post(t, "/moto-api/reset-auth", "0")
}

// Reset empties the account and stops enforcing IAM.
func (m *MotoServer) Reset(t testing.TB) {
	t.Helper()
	m.post(t, "/moto-api/reset", "")
	m.post(t, "/moto-api/reset-auth", "1000000000")
}

func (m *MotoServer) post(t testing.TB, path, body string) {
	t.Helper()
	resp, err := http.Post(m.URL+path, "text/plain", strings.NewReader(body))
	if err != nil {
		t.Fatalf("moto %s: %v", path, err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("moto %s: %s", path, resp.Status)
	}
}
