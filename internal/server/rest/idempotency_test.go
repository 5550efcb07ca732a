package rest

import (
	"crypto/sha256"
	"strconv"
	"testing"
	"time"
)

// fill completes requests of a principal, each with a response of one byte.
func (s *responseCache) fill(t *testing.T, principal string, n int) {
	t.Helper()
	for i := range n {
		a, first := s.claim(principal, "fill"+strconv.Itoa(i), [sha256.Size]byte{}, nil)
		if a == nil || !first {
			t.Fatalf("request %d of %s: %v, %v", i, principal, a, first)
		}
		a.body = []byte("x")
		s.complete(principal, a)
	}
}

// noChange is the state of a database that never goes back.
func noChange() int { return 0 }

func TestResponsesFromBeforeTheDatabaseWentBackAreNotRepeated(t *testing.T) {
	state := 0
	s := newResponseCache(time.Now, func() int { return state })
	s.fill(t, "ann", 3)
	inFlight, _ := s.claim("ann", "in flight", [sha256.Size]byte{}, nil)
	if _, again := s.claim("ann", "fill1", [sha256.Size]byte{}, nil); again {
		t.Error("a response isn't repeated although nothing went back")
	}
	state++
	if _, again := s.claim("ann", "fill1", [sha256.Size]byte{}, nil); !again {
		t.Error("the response is about what the database doesn't hold any more")
	}
	if a, again := s.claim("ann", "in flight", [sha256.Size]byte{}, nil); a != inFlight || again {
		t.Error("what is in flight would be done twice")
	}
	s.complete("ann", inFlight)
	if _, again := s.claim("ann", "in flight", [sha256.Size]byte{}, nil); !again {
		t.Error("the response of a request that began before is repeated")
	}
	if own := s.owners["ann"]; len(own.order) != 2 || own.size != 0 {
		t.Errorf("%d responses of %d bytes, want the two in flight", len(own.order), own.size)
	}
}

func TestNobodyPushesOutAnothersResponses(t *testing.T) {
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	s := newResponseCache(func() time.Time { return now }, noChange)
	first, _ := s.claim("admin", "K1", [sha256.Size]byte{}, nil)
	s.complete("admin", first)
	s.fill(t, "low", 3*maxResponses)
	if a, again := s.claim("admin", "K1", [sha256.Size]byte{}, nil); a != first || again {
		t.Error("another principal's requests pushed out the response")
	}
	if n := len(s.owners["low"].order); n != maxResponses || len(s.owners["low"].byKey) != n || s.owners["low"].size != n {
		t.Errorf("%d of the other principal's are kept, want %d", n, maxResponses)
	}
	if _, again := s.claim("low", "fill0", [sha256.Size]byte{}, nil); !again {
		t.Error("the oldest wasn't pushed out first")
	}
	now = now.Add(responseTTL)
	if _, again := s.claim("admin", "K1", [sha256.Size]byte{}, nil); !again {
		t.Error("a response is kept for longer than a day")
	}
	if s.owners["low"] != nil {
		t.Error("whoever has no responses is still known")
	}
}

func TestRequestsInFlightAreNotPushedOut(t *testing.T) {
	s := newResponseCache(time.Now, noChange)
	var first *cachedResponse
	for i := range maxResponses {
		a, _ := s.claim("ann", strconv.Itoa(i), [sha256.Size]byte{}, nil)
		if i == 0 {
			first = a
		}
	}
	if a, _ := s.claim("ann", "more", [sha256.Size]byte{}, nil); a != nil {
		t.Error("one more is accepted")
	}
	if a, _ := s.claim("bob", "0", [sha256.Size]byte{}, nil); a == nil {
		t.Error("another principal's is refused")
	}
	s.complete("ann", first)
	if a, again := s.claim("ann", "more", [sha256.Size]byte{}, nil); a == nil || !again {
		t.Error("refused although one is complete")
	}
}

func TestResponsesTakeBoundedMemory(t *testing.T) {
	s := newResponseCache(time.Now, noChange)
	const each = maxResponseMemory / 4
	for i := range 10 {
		a, _ := s.claim("ann", strconv.Itoa(i), [sha256.Size]byte{}, nil)
		a.body = make([]byte, each)
		s.complete("ann", a)
	}
	if own := s.owners["ann"]; own.size != maxResponseMemory || len(own.order) != 4 {
		t.Errorf("%d responses of %d bytes are kept", len(own.order), own.size)
	}
	if a, again := s.claim("ann", "9", [sha256.Size]byte{}, nil); again || len(a.body) != each {
		t.Error("the newest response is gone")
	}
}
