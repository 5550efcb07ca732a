package daemon_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/internal/daemon"
)

// lines captures the daemon's log.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestOnlyChangesThatNeedARestartAreReported(t *testing.T) {
	const licence = "secrets: [{name: app/licence, issuer: {manual: {what: a licence}}, policy: {rotate_every: 90d}}]\n"
	const warning = "take effect at the next start"
	said := &lines{}
	w := start(t, "", licence, func(o *daemon.Options) { o.Log = slog.New(slog.NewJSONHandler(said, nil)) })
	reload := func(text string) {
		t.Helper()
		w.configure(text)
		if a := w.do(http.MethodPost, "/v1/reload", nil); a.StatusCode != http.StatusOK {
			t.Fatal(a.Status)
		}
	}
	reload(strings.Replace(licence, "90d", "80d", 1))
	if strings.Contains(said.String(), warning) {
		t.Errorf("nothing of server was changed:\n%s", said)
	}
	reload(licence + "server: {metrics: admin}\n")
	if !strings.Contains(said.String(), warning) {
		t.Errorf("the metrics were closed:\n%s", said)
	}
}

// A pipe that nobody writes to stands for a file that takes long to read.
func TestADaemonStopsWhileItReadsItsConfiguration(t *testing.T) {
	const licence = "secrets: [{name: app/licence, issuer: {manual: {what: a licence}}}]\n"
	said := &lines{}
	t.Cleanup(func() { // after the daemon's end, which it waits for
		if strings.Contains(said.String(), "the configuration is unchanged") {
			t.Errorf("a reload that was interrupted is reported:\n%s", said)
		}
	})
	reading := make(chan struct{}, 100)
	w, stop := startStoppable(t, "", licence, func(o *daemon.Options) {
		o.Log = slog.New(slog.NewJSONHandler(said, nil))
		load := o.Load
		o.Load = func(ctx context.Context) (*config.File, error) {
			reading <- struct{}{}
			return load(ctx)
		}
	})
	<-reading // at its start
	next := w.file + ".next"
	if err := syscall.Mkfifo(next, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, w.file); err != nil {
		t.Fatal(err)
	}
	<-reading
	stop()
}
