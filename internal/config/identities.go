package config

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rota-dev/rota/provider"
)

const (
	// identifyWithin bounds how long a connection is asked which account or server
	// it reaches, and how long a turn waits for all of them.
	identifyWithin = 5 * time.Second
	// identifyAgain is how long a connection that gave no answer isn't asked.
	identifyAgain = time.Minute
	// identifyTogether is how far apart two answers may be given so that a
	// difference between them counts.
	identifyTogether = time.Minute
	// identifyAtOnce is how many connections are asked at the same time.
	identifyAtOnce = 16
)

// identities are what the connections of one configuration say they reach. Each
// is asked when that first matters, once unless it gives no answer, and by one
// question at a time. A connection that hangs is a matter of its own: it delays a
// turn at most once a minute, by five seconds.
type identities struct {
	life   context.Context // of the questions: the configuration's
	cancel context.CancelFunc
	asking sync.WaitGroup
	slots  chan struct{}

	mu    sync.Mutex
	known map[string]*identity // by the connection's name
}

// identity is what one connection reaches.
type identity struct {
	scope string        // "" if it's not known
	err   error         // why not
	at    time.Time     // when the answer was given
	done  chan struct{} // closed with the answer to the question in flight; nil if there's none
}

func newIdentities() *identities {
	i := &identities{slots: make(chan struct{}, identifyAtOnce), known: map[string]*identity{}}
	i.life, i.cancel = context.WithCancel(context.Background())
	return i
}

// end breaks off what is being asked, and waits until nothing uses a connection.
func (i *identities) end() {
	i.mu.Lock()
	i.cancel()
	i.mu.Unlock() // from here on nothing is asked
	i.asking.Wait()
}

// ask asks those of the connections that haven't answered since then, and waits
// for them for a while.
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

// begin asks a connection unless its answer will do, and gives what is closed
// when it has answered; nil if there's nothing to wait for.
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

// errUnidentified is why nothing is known of a system that has nothing which
// identifies it.
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

// of is what's known of a connection by now.
func (i *identities) of(connection string) identity {
	i.mu.Lock()
	defer i.mu.Unlock()
	if known := i.known[connection]; known != nil {
		return *known
	}
	return identity{}
}
