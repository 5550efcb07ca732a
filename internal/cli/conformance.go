package cli

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/rota-dev/rota/provider/providertest"
)

// trial is a [providertest.T] outside of go test.
type trial struct {
	ctx    context.Context
	name   string
	parent *trial
	// ended is called when a case of the suite itself has ended; begun before it
	// begins.
	begun func(*trial)
	ended func(*trial)
	log   func(string)

	mu       sync.Mutex
	messages []string
	failed   bool
	took     time.Duration
}

var _ providertest.T = (*trial)(nil)

func (t *trial) Context() context.Context { return t.ctx }
func (t *trial) Helper()                  {}

// Error notes a failure and goes on.
func (t *trial) Error(args ...any) { t.fail(strings.TrimSuffix(fmt.Sprintln(args...), "\n")) }

// Errorf is Error with a format.
func (t *trial) Errorf(format string, args ...any) { t.fail(fmt.Sprintf(format, args...)) }

// Fatal notes a failure and ends the case.
func (t *trial) Fatal(args ...any) {
	t.Error(args...)
	runtime.Goexit()
}

// Fatalf is Fatal with a format.
func (t *trial) Fatalf(format string, args ...any) {
	t.Errorf(format, args...)
	runtime.Goexit()
}

// Logf is for what the suite leaves out.
func (t *trial) Logf(format string, args ...any) { t.log(fmt.Sprintf(format, args...)) }

func (t *trial) fail(message string) {
	for at := t; at != nil; at = at.parent {
		at.mu.Lock()
		at.failed = true
		at.messages = append(at.messages, message)
		at.mu.Unlock()
		message = at.name + ": " + message
	}
}

// Run runs one case, which may have parts of its own.
func (t *trial) Run(name string, f func(providertest.T)) bool {
	if t.ctx.Err() != nil {
		return false // interrupted: what hasn't begun doesn't
	}
	ctx, cancel := context.WithCancel(t.ctx)
	defer cancel()
	sub := &trial{ctx: ctx, name: name, log: t.log}
	if t.begun == nil {
		sub.parent = t
	} else {
		t.begun(sub)
	}
	begun, done := time.Now(), make(chan struct{})
	go func() {
		defer close(done)
		f(sub)
	}()
	<-done
	if t.ended != nil {
		t.ended(sub)
		sub.took = time.Since(begun)
	}
	sub.mu.Lock()
	defer sub.mu.Unlock()
	return !sub.failed
}
