package provider_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/rota-dev/rota/provider"
)

func TestAClockFollowsTheSystems(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	date := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", date)
	}))
	defer server.Close()
	clock := &provider.Clock{RoundTripper: http.DefaultTransport, Now: func() time.Time { return now }}
	client := &http.Client{Transport: clock}
	if there, known := clock.There(now); known || !there.Equal(now) {
		t.Errorf("before any answer: %s, known %v", there, known)
	}
	for _, ahead := range []time.Duration{time.Hour, -time.Hour, 0} {
		for _, answer := range []string{now.Add(ahead).Format(http.TimeFormat), "yesterday"} { // the second says nothing
			date = answer
			resp, err := client.Get(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			there, known := clock.There(now.Add(-time.Minute))
			if off := there.Sub(now.Add(ahead - time.Minute)).Abs(); !known || off > time.Second {
				t.Errorf("%s ahead, answered %q: %s, known %v", ahead, answer, there, known)
			}
		}
	}
}
