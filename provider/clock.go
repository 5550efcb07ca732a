package provider

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/rota-dev/rota"
)

// Clock is a client's transport that follows how far a system's clock is from Rota's,
// by the dates of the system's answers. What the system says about when something
// happened can then be compared with when Rota did something.
type Clock struct {
	http.RoundTripper
	// Now is Rota's clock. Defaults to time.Now.
	Now func() time.Time

	ahead atomic.Pointer[time.Duration] // of the system's clock
}

// RoundTrip implements [http.RoundTripper].
func (c *Clock) RoundTrip(r *http.Request) (*http.Response, error) {
	return c.Through(c.RoundTripper, r)
}

// Through is RoundTrip by way of another transport, for a client that is made anew.
func (c *Clock) Through(rt http.RoundTripper, r *http.Request) (*http.Response, error) {
	sent := c.now()
	resp, err := rt.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if at, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		// The answer was written between the two, and its date lacks the fraction.
		low, high := at.Sub(c.now()), at.Add(time.Second).Sub(sent)
		ahead := low + (high-low)/2
		c.ahead.Store(&ahead)
	}
	return resp, nil
}

// There returns a time of Rota's as the system's clock showed it. known is false, and
// the time the same, until the system has answered once.
func (c *Clock) There(t time.Time) (there time.Time, known bool) {
	ahead := c.ahead.Load()
	if ahead == nil {
		return t, false
	}
	return t.Add(*ahead), true
}

// Here returns a time of the system's as Rota's clock showed it; the same until the
// system has answered once, and for zero.
func (c *Clock) Here(t time.Time) time.Time {
	if there, known := c.There(t); known && !t.IsZero() {
		return t.Add(-there.Sub(t))
	}
	return t
}

// LatestUse is [rota.LatestUse] by Rota's clock, for a use that the system noted by its own.
func (c *Clock) LatestUse(noted time.Time, every time.Duration) time.Time {
	return rota.LatestUse(c.Here(noted), every, c.now())
}

func (c *Clock) now() time.Time {
	if c.Now == nil {
		return time.Now()
	}
	return c.Now()
}
