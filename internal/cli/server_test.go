package cli_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// log is what a server says, while it goes on.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

var listening = regexp.MustCompile(`rota: listening on (\S+)`)

// serveCommand starts rota serve with the script's environment, until the
// script ends, and puts its address into ADDRESS.
func serveCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: serve [FLAG...]")
	}
	var env []string
	for _, name := range []string{
		"PATH", "HOME", "WORK", "ROTA_DATA_DIR", "ROTA_DATABASE", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
		"AWS_EC2_METADATA_DISABLED", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE",
	} {
		env = append(env, name+"="+ts.Getenv(name))
	}
	program, err := lookPath(ts.Getenv("PATH"), "rota")
	ts.Check(err)
	said := &log{}
	c := exec.Command(program, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
	c.Dir, c.Env, c.Stderr = ts.MkAbs("."), env, said
	ts.Check(c.Start())
	ended := make(chan struct{})
	go func() {
		_ = c.Wait() // that it was killed is how it ends
		close(ended)
	}()
	ts.Defer(func() {
		_ = c.Process.Kill()
		<-ended
	})
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if m := listening.FindStringSubmatch(said.String()); m != nil {
			ts.Setenv("ADDRESS", "http://"+m[1])
			return
		}
		select {
		case <-ended:
			ts.Fatalf("rota serve ended:\n%s", said)
		default:
		}
		if time.Now().After(end) {
			ts.Fatalf("rota serve does not listen:\n%s", said)
		}
	}
}

// lookPath finds the program of the script's own PATH.
func lookPath(path, name string) (string, error) {
	for _, dir := range filepath.SplitList(path) {
		if found, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return found, nil
		}
	}
	return "", exec.ErrNotFound
}

// tokenCommand takes the token out of the last stdout, which is a new key's
// document, and puts it into a file and into a variable: token FILE NAME.
func tokenCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: token FILE NAME")
	}
	m := regexp.MustCompile(`rota_ROTA[A-Z2-7]{16}_[A-Z2-7]{40}`).FindString(ts.ReadFile("stdout"))
	if m == "" {
		ts.Fatalf("there is no token in the last stdout")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(m+"\n"), 0o600))
	ts.Setenv(args[1], m)
}
