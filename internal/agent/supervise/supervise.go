// Package supervise runs a child process the way a shell or an init would, and
// replaces or signals it when what it was started with has changed. It knows nothing
// of secrets: its caller says what the child's environment is.
//
// Signals and exit codes are passed through. Whether the child is in a process group
// of its own depends on the terminal: in the foreground of one, the terminal sends
// its own signals, and reading from it must stay possible.
package supervise

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"syscall"
	"time"
)

// Exit codes of a child that couldn't be started, as shells have them.
const (
	ExitNotExecutable = 126
	ExitNotFound      = 127
	exitSignal        = 128 // plus the signal's number
)

// Action is what a change means to the child.
type Action struct {
	// Restart replaces the child.
	Restart bool
	// Signal is sent to it otherwise; 0 for none.
	Signal syscall.Signal
}

// Options say how to run a child.
type Options struct {
	// Start starts the child with what is current.
	Start func() (Process, error)
	// Refresh makes what has changed current, and reports whether the child has to
	// hear of it. After an error, the child goes on with what it has.
	Refresh func(ctx context.Context) (bool, error)
	// Changes says that something may have changed. Nil for never.
	Changes <-chan struct{}
	// Signals are those that this process gets.
	Signals <-chan os.Signal
	// OnChange is what a change means.
	OnChange Action
	// Splay is the longest random delay between a change and what's done about it.
	Splay time.Duration
	// Settle is how long changes are collected, so that several cause one restart.
	Settle time.Duration
	// StopSignal asks a child that is being replaced to end. Defaults to SIGTERM.
	StopSignal syscall.Signal
	// Grace is how long a child that is being replaced has to end. Then it's killed.
	Grace time.Duration
	// KillAfter is the same for a child that was sent a SIGTERM or SIGINT from
	// outside. 0 for ever: whoever sent it decides how long to wait.
	KillAfter time.Duration
	// RestartFailed starts a child again that failed, after growing pauses.
	RestartFailed bool
	// Log hears what is done.
	Log *slog.Logger
}

// Process is a child that was started.
type Process interface {
	// Signal sends a signal to the child itself.
	Signal(syscall.Signal) error
	// Kill ends the child, and everything in its process group.
	Kill()
	// Done delivers how it ended, once.
	Done() <-chan Exit
}

// Exit is how a child ended.
type Exit struct {
	Code   int
	Signal syscall.Signal // 0 if it exited by itself
}

// Status is the exit code that stands for it.
func (e Exit) Status() int {
	if e.Signal != 0 {
		return exitSignal + int(e.Signal)
	}
	return e.Code
}

// The pauses before a child that failed is started again, and how long one has to
// run for them to begin anew.
const (
	firstPause   = time.Second
	longestPause = time.Minute
	longEnough   = 5 * time.Minute
)

// Run starts the child and returns its exit code when it's over. Ctx ends only the
// work between: to end a child, signal it.
func Run(ctx context.Context, o Options) (int, error) {
	if o.StopSignal == 0 {
		o.StopSignal = syscall.SIGTERM
	}
	s := &supervisor{Options: o, pause: firstPause}
	return s.run(ctx)
}

type supervisor struct {
	Options
	child    Process
	started  time.Time
	pause    time.Duration
	stopping bool             // the child was asked to end, to be replaced
	leaving  syscall.Signal   // the signal from outside that ends everything; 0 for none
	kill     <-chan time.Time // when the child's patience is over
	act      <-chan time.Time // when a change is acted on
	again    <-chan time.Time // when a child that failed is started again
	last     Exit
}

func (s *supervisor) run(ctx context.Context) (int, error) {
	if err := s.start(); err != nil {
		return 0, err
	}
	for {
		var done <-chan Exit
		if s.child != nil {
			done = s.child.Done()
		}
		select {
		case sig := <-s.Signals:
			if code, over := s.signal(sig); over {
				return code, nil
			}
		case <-s.Changes:
			if s.act == nil {
				s.act = time.After(s.Settle + s.delay())
			}
		case <-s.act:
			s.act = nil
			s.change(ctx)
		case <-s.kill:
			s.kill = nil
			s.Log.Warn("the child hasn't ended in time and is killed")
			s.child.Kill()
		case <-s.again:
			s.again = nil
			if err := s.start(); err != nil {
				return 0, err
			}
		case e := <-done:
			s.child, s.kill, s.last = nil, nil, e
			if over, err := s.ended(e); over || err != nil {
				return e.Status(), err
			}
		}
	}
}

func (s *supervisor) delay() time.Duration {
	if s.Splay <= 0 {
		return 0
	}
	return rand.N(s.Splay) //nolint:gosec // it spreads restarts, and is no secret
}

func (s *supervisor) start() (err error) {
	s.stopping = false
	s.child, err = s.Start()
	s.started = time.Now()
	return err
}

// signal passes a signal on. It returns true if there's no child to wait for.
func (s *supervisor) signal(sig os.Signal) (code int, over bool) {
	n, ok := sig.(syscall.Signal)
	if !ok {
		return 0, false
	}
	ends := n == syscall.SIGTERM || n == syscall.SIGINT || n == syscall.SIGQUIT
	if s.child == nil { // it failed, and would be started again
		return exitSignal + int(n), ends
	}
	if ends {
		// A child may take SIGINT for something else, so it may go on. But it's not
		// replaced any more once it ends.
		s.leaving = n
		if s.KillAfter > 0 && n != syscall.SIGQUIT && s.kill == nil {
			s.kill = time.After(s.KillAfter)
		}
	}
	if err := s.child.Signal(n); err != nil {
		s.Log.Debug("the child can't be signaled", "signal", n.String(), "error", err)
	}
	return 0, false
}

// change brings a change to the child.
func (s *supervisor) change(ctx context.Context) {
	concerned, err := s.Refresh(ctx)
	if err != nil {
		s.Log.Error("a new version can't be used; the child goes on with what it has", "error", err)
		return
	}
	if !concerned || s.child == nil || s.stopping || s.leaving != 0 {
		return // what is started next, if anything, has it
	}
	switch {
	case s.OnChange.Restart:
		s.Log.Info("a secret has changed: the child is replaced")
		s.stopping = true
		if s.Grace > 0 {
			s.kill = time.After(s.Grace)
		}
		if err := s.child.Signal(s.StopSignal); err != nil {
			s.Log.Debug("the child can't be signaled", "error", err)
		}
	case s.OnChange.Signal != 0:
		s.Log.Info("a secret has changed: the child is signaled", "signal", s.OnChange.Signal.String())
		if err := s.child.Signal(s.OnChange.Signal); err != nil {
			s.Log.Warn("the child can't be signaled", "error", err)
		}
	}
}

// ended decides what comes after a child: nothing, the next one, or a pause.
func (s *supervisor) ended(e Exit) (over bool, err error) {
	switch {
	case s.leaving != 0:
		return true, nil
	case s.stopping:
		return false, s.start()
	case !s.RestartFailed || e.Status() == 0:
		return true, nil
	}
	if time.Since(s.started) >= longEnough {
		s.pause = firstPause
	}
	s.Log.Warn("the child failed and is started again", "exit", fmt.Sprint(e.Status()), "in", s.pause.String())
	s.again = time.After(s.pause)
	s.pause = min(2*s.pause, longestPause)
	return false, nil
}
