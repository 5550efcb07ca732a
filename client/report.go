package client

import (
	"context"
	"crypto/rand"
	"errors"
	randv2 "math/rand/v2"
	"os"
	"strings"
	"sync"
	"time"
)

// Reporter is a Source that takes reports of which versions this program holds, so
// that none of them is retired while it's in use.
type Reporter interface {
	Source
	// Report replaces what the instance reported before. It returns
	// [errors.ErrUnsupported] if it takes no reports after all.
	Report(ctx context.Context, r Report) (Reported, error)
}

// Report is what one running program holds.
type Report struct {
	// Instance is its name.
	Instance string
	// Holding is the versions it holds, by secret.
	Holding map[string][]string
	// Ended means that it holds nothing any more.
	Ended bool
}

// Reported is the source's answer to a report.
type Reported struct {
	// Next is how long to wait until the next report.
	Next time.Duration
	// Refused is why secrets weren't recorded, by name; Denied those of them that it
	// makes no sense to report again.
	Refused map[string]string
	Denied  []string
}

const (
	// handedOut is how long a version that was replaced still counts as held: someone
	// may just be logging in with it.
	handedOut = 30 * time.Second
	// endTimeout bounds the last report.
	endTimeout = 3 * time.Second
	// hurry is the most that a report of a change waits, so that not every instance
	// reports a rotation in the same moment.
	hurry = time.Second
	// reportEvery is when the next report is sent if the source doesn't say.
	reportEvery = 3 * time.Minute
)

// instanceName is unique, and begins with the machine's name, which in Kubernetes is
// the pod's.
func instanceName() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "unknown"
	}
	return host[:min(len(host), 180)] + "-" + strings.ToLower(rand.Text()[:8])
}

// Hold says that the program still uses a version, such as for connections that are
// open, until release is called. The current version is held anyway, and so is one
// that was just replaced, for half a minute.
//
// An [Updater] does that by itself, and so do the pools of the packages below.
func (s *Secret) Hold(v Value) (release func()) {
	if v.IsZero() {
		return func() {}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hold(v.Version())
	return sync.OnceFunc(s.releasing(v.Version()))
}

// releasing returns what ends one hold.
func (s *Secret) releasing(version string) func() {
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.held[version]--; s.held[version] == 0 {
			delete(s.held, version)
			s.client.reportSoon()
		}
	}
}

// hold counts one more user of a version, under the secret's lock.
func (s *Secret) hold(version string) {
	if s.held == nil {
		s.held = map[string]int{}
	}
	if s.held[version]++; s.held[version] == 1 {
		s.client.reportSoon()
	}
}

// holdBriefly holds what was handed out until whoever got it has had the time to use
// it.
func (s *Secret) holdBriefly(v Value) {
	time.AfterFunc(handedOut, s.Hold(v))
}

// holding are the versions to report; none if that was refused.
func (s *Secret) holding() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	current := Value{s.current.Load()}
	if current.IsZero() || s.unreported {
		return nil
	}
	versions := []string{current.Version()}
	for v := range s.held {
		if v != current.Version() {
			versions = append(versions, v)
		}
	}
	return versions
}

// reportSoon has the next report sent right away, because what's held has changed.
func (c *Client) reportSoon() {
	select {
	case c.report <- struct{}{}:
	default:
	}
}

// reports tells the source what the program holds, until the client is closed.
func (c *Client) reports(to Reporter) {
	wait, pause := time.Duration(-1), newBackoff(longPause)
	next, failing := reportEvery, false
	refused := map[string]string{}
	for {
		if !c.awaitReport(wait) {
			return
		}
		r := Report{Instance: c.o.Instance, Holding: map[string][]string{}}
		for _, s := range c.Secrets() {
			if versions := s.holding(); len(versions) > 0 {
				r.Holding[s.name] = versions
			}
		}
		if len(r.Holding) == 0 {
			wait = -1
			continue
		}
		ctx, cancel := context.WithTimeout(c.ctx, c.o.CallTimeout)
		answer, err := to.Report(ctx, r)
		cancel()
		switch {
		case errors.Is(err, errors.ErrUnsupported), c.ctx.Err() != nil:
			return
		case err != nil:
			// A lease is good for several reports: it mustn't run out while the source
			// is back.
			wait = min(pause.NextBackOff(), next/2)
			if !failing {
				failing = true
				c.o.Logger.Warn("what the program holds can't be reported; it's tried again", "error", err)
			}
			continue
		}
		pause.Reset()
		failing = false
		c.noteRefused(refused, answer)
		if answer.Next > 0 {
			next = answer.Next
		}
		wait = next - randv2.N(next/10+1) //nolint:gosec // it spreads requests, and hides nothing
	}
}

// awaitReport waits until the next report, and reports whether there's one. Without a
// time, it waits until there's something to report.
func (c *Client) awaitReport(wait time.Duration) bool {
	var due <-chan time.Time
	if wait >= 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		due = t.C
	}
	select {
	case <-c.ctx.Done():
		return false
	case <-due:
		return true
	case <-c.report:
		return sleep(c.ctx, randv2.N(hurry)) == nil //nolint:gosec // it spreads requests
	}
}

// noteRefused says once which secrets can't be reported, and reports those no more
// that it makes no sense for.
func (c *Client) noteRefused(said map[string]string, answer Reported) {
	for _, s := range c.Secrets() {
		why, is := answer.Refused[s.name]
		if is && said[s.name] != why {
			c.o.Logger.Warn("the source doesn't record which version of a secret the program holds", "secret", s.name, "why", why)
		}
		said[s.name] = why
		for _, name := range answer.Denied {
			if name == s.name {
				s.mu.Lock()
				s.unreported = true // until it can be read
				s.mu.Unlock()
			}
		}
	}
}

// endReports says that the program holds nothing any more.
func (c *Client) endReports(to Reporter) {
	ctx, cancel := context.WithTimeout(context.Background(), min(endTimeout, c.o.CallTimeout))
	defer cancel()
	if _, err := to.Report(ctx, Report{Instance: c.o.Instance, Ended: true}); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		c.o.Logger.Warn("the source wasn't told that the program has ended; it'll know once the last report expires", "error", err)
	}
}
