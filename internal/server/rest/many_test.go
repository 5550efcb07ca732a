package rest

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/access/memory"
	"github.com/rota-dev/rota/internal/service"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/rotation"
)

// asked is operations that count how often they're asked for the current
// version.
type asked struct {
	service.Operations
	times *atomic.Int64
}

func (a asked) Current(context.Context, string) (api.CurrentDoc, error) {
	a.times.Add(1)
	return api.CurrentDoc{Version: "v1"}, nil
}

// busyWorld is the API with a running feed and at most so many open requests.
type busyWorld struct {
	url   string
	log   *logOf
	feed  *Feed
	asked atomic.Int64
	open  atomic.Int64
}

func startBusy(t *testing.T, most int64) *busyWorld {
	t.Helper()
	w := &busyWorld{log: &logOf{}}
	w.log.add("a", "create")
	w.feed = NewFeed(w.log, time.Hour, slog.New(slog.DiscardHandler))
	ctx, end := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = w.feed.Run(ctx) }()
	directory := &memory.Directory{}
	h := httptest.NewServer(New(Options{
		Open: func(context.Context, access.Caller) (service.Operations, func(), error) {
			return asked{times: &w.asked}, func() {}, nil
		},
		Authenticate: func(*http.Request, []byte) (access.Caller, error) { return access.Local("ann"), nil },
		Hold: func(access.Caller) (func(), error) {
			if w.open.Add(1) > most {
				w.open.Add(-1)
				return nil, &access.LimitError{RetryAfter: 10 * time.Second, Of: "open requests"}
			}
			return func() { w.open.Add(-1) }, nil
		},
		Access: access.NewAdministration(directory, directory, nil), Feed: w.feed, Version: "test",
	}))
	t.Cleanup(func() { end(); <-done; h.Close() }) // the feed's end ends what's open
	w.url = h.URL
	return w
}

func (w *busyWorld) get(t *testing.T, ctx context.Context, path string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// until reads a stream up to a line with a text.
func until(t *testing.T, lines *bufio.Scanner, text string) {
	t.Helper()
	for lines.Scan() {
		if strings.Contains(lines.Text(), text) {
			return
		}
	}
	t.Fatalf("the stream ended before %q: %v", text, lines.Err())
}

func TestOneQueryServesAllStreams(t *testing.T) {
	const streams = 50
	w := startBusy(t, streams)
	all := make([]*bufio.Scanner, streams)
	for i := range all {
		all[i] = bufio.NewScanner(w.get(t, t.Context(), "/v1/events?after=1").Body)
	}
	round := func(step string) {
		w.log.add("a", step)
		w.feed.Poke()
		for _, lines := range all {
			until(t, lines, `"step":"`+step+`"`)
		}
	}
	round("first") // from here on, the feed has begun
	before := w.log.asked.Load()
	round("second")
	round("third")
	if n := w.log.asked.Load() - before; n > 4 {
		t.Errorf("%d streams of two events took %d queries", streams, n)
	}
}

// TestTheFeedKeepsWhatItRead compares the feed with the log, for streams that
// are anywhere.
func TestTheFeedKeepsWhatItRead(t *testing.T) {
	log := &logOf{}
	f := NewFeed(log, time.Hour, slog.New(slog.DiscardHandler))
	for range 10 {
		log.add("a", "create")
	}
	w := f.Watch("")
	f.poll(t.Context())
	for n := range 3*keptEntries + 500 {
		log.add(fmt.Sprint(n), "create")
		if n%700 == 0 {
			f.poll(t.Context())
		}
	}
	f.poll(t.Context())
	end := int64(len(log.records))
	for _, seq := range []int64{0, 5, 9, 10, 11, 500, end - keptEntries - 1, end - keptEntries, end - 501, end - 500, end - 3, end - 1, end, end + 7} {
		before := log.asked.Load()
		got, err := f.Since(t.Context(), seq, 500)
		queries := log.asked.Load() - before
		want, _ := log.Read(t.Context(), store.AuditQuery{After: seq, Limit: 500})
		if diff := cmp.Diff(len(want), len(got)); diff != "" || err != nil {
			t.Fatalf("after %d of %d: %v (-want +got)\n%s", seq, end, err, diff)
		}
		for i := range want {
			if got[i].Seq != want[i].Seq {
				t.Fatalf("after %d of %d, entry %d is number %d, want %d", seq, end, i, got[i].Seq, want[i].Seq)
			}
		}
		if recent := seq >= end-keptEntries; recent && queries > 0 || seq < 10 && queries != 1 {
			t.Errorf("after %d of %d it took %d queries", seq, end, queries)
		}
	}
	w.Stop()
	f.poll(t.Context())
	if len(f.recent) != 0 {
		t.Errorf("%d entries are kept for nobody", len(f.recent))
	}
}

// TestReadsAndRefusalsDontWakeLongPolls has others do what leaves the current
// version alone, which costs no look at it.
func TestReadsAndRefusalsDontWakeLongPolls(t *testing.T) {
	f := NewFeed(&logOf{}, time.Hour, slog.New(slog.DiscardHandler))
	poll, stream := f.WatchChanges("a"), f.Watch("a")
	defer poll.Stop()
	defer stream.Stop()
	for n, c := range []struct {
		step    string
		outcome rotation.Outcome
		wakes   bool
	}{
		{rotation.OpGet, rotation.OutcomeSucceeded, false},
		{rotation.OpVersions, rotation.OutcomeSucceeded, false},
		{rotation.OpPut, rotation.OutcomeDenied, false},
		{rotation.OpPut, rotation.OutcomeSucceeded, true},
		{rotation.OpLabel, rotation.OutcomeSucceeded, true},
		{rotation.OpRemove, rotation.OutcomeSucceeded, true},
		{"promote", rotation.OutcomeSucceeded, true},
		{"promote", rotation.OutcomeBegun, true},
	} {
		f.notify([]store.AuditRecord{{Seq: int64(n + 1), Entry: rotation.Entry{Secret: "a", Step: c.step, Outcome: c.outcome}}})
		<-stream.Changed()
		woken := false
		select {
		case <-poll.Changed():
			woken = true
		default:
		}
		if woken != c.wakes {
			t.Errorf("%s, %s: a long poll is woken: %t", c.step, c.outcome, woken)
		}
	}
}

func TestOpenRequestsAreLimited(t *testing.T) {
	const most = 2
	w := startBusy(t, most)
	ctx, leave := context.WithTimeout(t.Context(), time.Minute)
	defer leave()
	first := bufio.NewScanner(w.get(t, ctx, "/v1/events").Body)
	until(t, first, "heartbeat")
	second := bufio.NewScanner(w.get(t, t.Context(), "/v1/events").Body)
	until(t, second, "heartbeat")
	for _, path := range []string{"/v1/events", "/v1/secrets/a/changes?version=v1"} {
		resp := w.get(t, t.Context(), path)
		text := bufio.NewScanner(resp.Body)
		text.Scan()
		if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") != "10" || !strings.Contains(text.Text(), "too many open requests") {
			t.Errorf("%s: %s %v %s", path, resp.Status, resp.Header, text.Text())
		}
	}
	if w.asked.Load() != 0 {
		t.Error("a long poll was carried out before it was refused")
	}
	leave()
	deadline := time.Now().Add(20 * time.Second)
	for w.open.Load() == most && time.Now().Before(deadline) {
		if resp := w.get(t, t.Context(), "/v1/secrets/a/changes"); resp.StatusCode == http.StatusOK {
			break
		}
	}
	if resp := w.get(t, t.Context(), "/v1/secrets/a/changes"); resp.StatusCode != http.StatusOK {
		t.Errorf("once a stream has ended: %s", resp.Status)
	}
	if n := w.open.Load(); n != 1 {
		t.Errorf("%d are counted as open, want 1", n)
	}
}
