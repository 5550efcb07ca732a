package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/rota-dev/rota"
)

const (
	commandTimeout = 30 * time.Second
	// commandWaitDelay is how long what a command has left behind may hold its output.
	commandWaitDelay = 5 * time.Second
	// onceAttempts is how often an agent that runs once tries a command.
	onceAttempts = 3
)

// command makes programs read their files. It's run once for all changes that came
// before, and again after growing pauses if it fails. A note in the state folder
// says that it's owed, so that an agent that died in between makes up for it. What it
// prints goes nowhere: it may print what is in the files.
type command struct {
	name    string
	args    []string
	timeout time.Duration
	agent   *Agent

	wake chan struct{}
	done sync.WaitGroup
	end  context.CancelFunc

	mu       sync.Mutex
	wanted   bool // it's to be run
	running  bool
	noted    bool // the note is there
	failures int
	last     error
	settled  chan struct{} // replaced whenever something has changed
}

func newCommand(name string, args []string, timeout time.Duration, a *Agent) *command {
	return &command{name: name, args: args, timeout: timeout, agent: a, wake: make(chan struct{}, 1), settled: make(chan struct{})}
}

// check reports whether there's such a program.
func (c *command) check() rota.Finding {
	f := rota.Finding{OK: true, Check: "run " + c.name}
	path, err := exec.LookPath(c.args[0])
	if f.Detail = path; err != nil {
		f.OK, f.Detail, f.Remedies = false, err.Error(), rota.Outside("the program's whole path")
	}
	return f
}

func (c *command) note() string {
	if c.agent.state == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(c.name))
	return filepath.Join(c.agent.state, "owed-"+hex.EncodeToString(sum[:8]))
}

// owe notes that the command is to be run, before the file is changed.
func (c *command) owe() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.noted || c.note() == "" {
		return nil
	}
	if err := os.WriteFile(c.note(), []byte(c.name+"\n"), 0o600); err != nil {
		return fmt.Errorf("the agent's state: %w", err)
	}
	c.noted = true
	return nil
}

// release takes the note back if nothing has changed after all.
func (c *command) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.wanted && !c.running {
		c.forget()
	}
}

// forget removes the note; c.mu is held.
func (c *command) forget() {
	if !c.noted {
		return
	}
	if err := os.Remove(c.note()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.agent.o.Log.Warn("the agent's state can't be written", "error", err)
		return
	}
	c.noted = false
}

// request has the command run.
func (c *command) request() {
	c.mu.Lock()
	c.wanted = true
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// start begins with what an earlier agent owed.
func (c *command) start(ctx context.Context) error {
	if c.note() != "" {
		if err := os.MkdirAll(c.agent.state, 0o700); err != nil {
			return err
		}
		if _, err := os.Stat(c.note()); err == nil {
			c.noted = true
			c.request()
		}
	}
	ctx, c.end = context.WithCancel(ctx)
	c.done.Go(func() { c.loop(ctx) })
	return nil
}

func (c *command) stop() {
	if c.end != nil {
		c.end()
		c.done.Wait()
	}
}

func (c *command) loop(ctx context.Context) {
	pause := &backoff.ExponentialBackOff{InitialInterval: time.Second, Multiplier: 2, RandomizationFactor: 0.5, MaxInterval: 5 * time.Minute}
	var retry <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		case <-retry:
		}
		retry = nil
		if !c.begin() {
			continue
		}
		err := c.run(ctx)
		if ctx.Err() != nil {
			return // still owed
		}
		if c.finished(err); err == nil {
			pause.Reset()
			continue
		}
		retry = time.After(pause.NextBackOff())
	}
}

func (c *command) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.wanted {
		return false
	}
	c.wanted, c.running = false, true
	return true
}

func (c *command) finished(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running, c.last = false, err
	switch {
	case err != nil:
		c.wanted = true
		c.failures++
		c.agent.o.Log.Error("a command failed and will be run again", "command", c.name, "error", err)
	default:
		c.failures = 0
		c.agent.o.Log.Info("a command has run", "command", c.name)
		if !c.wanted {
			c.forget()
		}
	}
	close(c.settled)
	c.settled = make(chan struct{})
}

// run runs the command once.
func (c *command) run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	cmd.Env = slices.DeleteFunc(slices.Clone(c.agent.o.Env), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return slices.Contains(rotasOwn, name) || name == "NOTIFY_SOCKET" || name == "CREDENTIALS_DIRECTORY"
	})
	cmd.WaitDelay = commandWaitDelay
	ownGroup(cmd)
	err := cmd.Run()
	if ctx.Err() != nil && err != nil {
		return fmt.Errorf("it took longer than %v", c.timeout)
	}
	return err
}

// wait waits until the command isn't wanted any more.
func (c *command) wait(ctx context.Context) error {
	for {
		c.mu.Lock()
		wanted, failures, last, settled := c.wanted || c.running, c.failures, c.last, c.settled
		c.mu.Unlock()
		switch {
		case !wanted:
			return nil
		case failures >= onceAttempts:
			return last
		}
		select {
		case <-settled:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
