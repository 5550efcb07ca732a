package config

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rota-dev/rota/provider"
)

const (
	// identifyWithin limits how long a connection has to say which account or
	// server it reaches, and how long a turn waits for all of them.
	identifyWithin = 5 * time.Second
	// identifyAgain is how long to wait before asking a connection that didn't
	// answer again.
	identifyAgain = time.Minute
	// identifyTogether is how close together two answers must be for a
	// difference between them to count.
	identifyTogether = time.Minute
	// identifyAtOnce is how many connections are asked concurrently.
	identifyAtOnce = 16
)

// identities holds what the connections of one configuration say they reach.
// Each is asked when that first matters, one question at a time, and only once
// unless it fails to answer. Connections are asked independently: one that
// hangs delays a turn at most once a minute, by five seconds.
type identities struct {
	life   context.Context // of the questions; it ends with the configuration
	cancel context.CancelFunc
	asking sync.WaitGroup
	slots  chan struct{}

	mu    sync.Mutex
	known map[string]*identity // by connection name
}

// identity is what one connection reaches.
type identity struct {
	scope string        // "" if unknown
	err   error         // why scope is unknown
	at    time.Time     // when the answer arrived
	done  chan struct{} // closed when the in-flight question is answered; nil if there is none
}

func newIdentities() *identities {
	i := &identities{slots: make(chan struct{}, identifyAtOnce), known: map[string]*identity{}}
	i.life, i.cancel = context.WithCancel(context.Background())
	return i
}

// end cancels in-flight questions, and waits until nothing uses a connection.
func (i *identities) end() {
	i.mu.Lock()
	i.cancel()
	i.mu.Unlock() // nothing is asked from here on
	i.asking.Wait()
}

// ask asks the connections that haven't answered since the given time, and
// waits a while for their answers.
func (i *identities) ask(ctx context.Context, connections map[string]provider.Identifier, since time.Time) {
	ctx, cancel := context.WithTimeout(ctx, identifyWithin)
	defer cancel()
	var questions []<-chan struct{}
	for name, c := range connections {
		if done := i.begin(name, c, since); done != nil {
			questions = append(questions, done)
		}
	}
	for _, done := range questions {
		select {
		case <-done:
		case <-ctx.Done():
			return
		}
	}
}

// begin asks a connection, unless its last answer is recent enough. It returns
// a channel that is closed once the connection has answered, or nil if there's
// nothing to wait for.
func (i *identities) begin(name string, c provider.Identifier, since time.Time) <-chan struct{} {
	i.mu.Lock()
	defer i.mu.Unlock()
	known := i.known[name]
	if known == nil {
		known = &identity{}
		i.known[name] = known
	}
	switch {
	case known.done != nil:
		return known.done
	case i.life.Err() != nil:
		return nil
	case known.err != nil && time.Since(known.at) < identifyAgain:
		return nil
	case known.scope != "" && !known.at.Before(since):
		return nil
	}
	done := make(chan struct{})
	known.done = done
	i.asking.Go(func() {
		scope, err := i.question(c)
		i.mu.Lock()
		defer i.mu.Unlock()
		known.scope, known.err, known.at, known.done = scope, err, time.Now(), nil
		close(done)
	})
	return done
}

// errUnidentified explains why a system's identity is unknown if it has nothing
// that identifies it.
var errUnidentified = errors.New("it has nothing that identifies it")

func (i *identities) question(c provider.Identifier) (string, error) {
	select {
	case i.slots <- struct{}{}:
		defer func() { <-i.slots }()
	case <-i.life.Done():
		return "", i.life.Err()
	}
	ctx, cancel := context.WithTimeout(i.life, identifyWithin)
	defer cancel()
	scope, err := c.Identity(ctx)
	if err == nil && scope == "" {
		err = errUnidentified
	}
	return scope, err
}

// of returns what is known about a connection so far.
func (i *identities) of(connection string) identity {
	i.mu.Lock()
	defer i.mu.Unlock()
	if known := i.known[connection]; known != nil {
		return *known
	}
	return identity{}
}
