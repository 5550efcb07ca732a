package command

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/rota-dev/rota"
)

// errFolder: the working folder isn't a folder.
var errFolder = errors.New("not a folder")

// errTimeout distinguishes the program's own timeout from the end of its caller's context.
var errTimeout = errors.New("timeout")

// markVariable is an environment variable that is different in each run. It
// tells the program's children from all other processes.
const markVariable = "ROTA_RUN"

// runner runs one program, several times at once if asked to.
type runner struct {
	config Config
	grace  time.Duration
}

// execution is one run of the program.
type execution struct {
	variables      map[string]string // added to its environment
	input          []byte
	stdout, stderr io.Writer // may be the same one
	// tidy ends what a program leaves running that failed, or whose output that
	// holds open.
	tidy bool
}

// outcome is how a run ended.
type outcome struct {
	err     error // nil if it exited with 0
	started bool
	late    bool // its own timeout was up
	ended   bool // its caller's context was over
	// lingered: something that it left running kept its output open.
	lingered bool
	// escaped: it didn't end, since Rota may not end it.
	escaped bool
	took    time.Duration
}

// execute runs the program and waits until it ends. At the deadline it and its
// children get SIGTERM, and SIGKILL after the grace.
func (r *runner) execute(ctx context.Context, path string, e execution) outcome {
	ctx, cancel := context.WithTimeoutCause(ctx, r.config.Timeout, errTimeout)
	defer cancel()

	cmd := exec.CommandContext(ctx, path, r.config.Command[1:]...)
	cmd.Args[0] = r.config.Command[0]
	cmd.Dir = r.config.Dir
	mark := markVariable + "=" + rand.Text()
	cmd.Env = append(r.environment(e.variables), mark)
	if e.input != nil {
		cmd.Stdin = bytes.NewReader(e.input)
	}
	cmd.Stdout, cmd.Stderr = e.stdout, e.stderr
	ownGroup(cmd)
	var kill atomic.Pointer[time.Timer]
	cmd.Cancel = func() error {
		kill.Store(time.AfterFunc(r.grace, func() { _ = signalFamily(cmd.Process, mark, true) }))
		return signalFamily(cmd.Process, mark, false)
	}
	// A child that outlives the program may keep its output open: don't wait
	// longer than this.
	cmd.WaitDelay = r.grace + time.Second

	started := time.Now()
	err, escaped := wait(ctx, cmd, cmd.WaitDelay+time.Second)
	o := outcome{err: err, started: cmd.Process != nil, took: time.Since(started), lingered: errors.Is(err, exec.ErrWaitDelay), escaped: escaped}
	late := kill.Load()
	if late != nil {
		late.Stop()
	}
	if late != nil || e.tidy && o.started && err != nil {
		_ = signalFamily(cmd.Process, mark, true) // children that SIGTERM didn't end
	}
	if err != nil && ctx.Err() != nil && !o.lingered {
		o.err, o.ended, o.late = ctx.Err(), true, errors.Is(context.Cause(ctx), errTimeout)
	}
	return o
}

// errEscaped: the program runs on, and Rota may not end it.
var errEscaped = errors.New("it can't be ended")

// wait starts the program and waits until it ends. One that became another user, as
// with sudo, can't be ended by Rota's: it's given up some time after the deadline.
func wait(ctx context.Context, cmd *exec.Cmd, atMost time.Duration) (err error, escaped bool) {
	if err := cmd.Start(); err != nil {
		return err, false
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		return err, false
	case <-ctx.Done():
	}
	timer := time.NewTimer(atMost)
	defer timer.Stop()
	select {
	case err := <-ended:
		return err, false
	case <-timer.C:
		return errEscaped, true
	}
}

// run runs the program with the variables added to its environment, and shows its
// output if it fails.
func (r *runner) run(ctx context.Context, op string, variables map[string]string, input []byte) error {
	path, err := r.ready(op)
	if err != nil {
		return err
	}
	out := &tail{}
	o := r.execute(ctx, path, execution{variables: variables, input: input, stdout: out, stderr: out})
	switch {
	case o.err == nil, o.lingered:
		// It exited with 0, whatever ended while its output was waited for. What it
		// left behind may be the service that it restarted.
		return nil
	case o.ended:
		return r.fail(op, rota.ClassWait, o.hint(), fmt.Errorf("%s after %s: %w%s", o.verb(), o.took.Round(time.Millisecond), o.err, out))
	case errors.As(o.err, new(*exec.ExitError)):
		return r.fail(op, rota.ClassWait, "fix what the program reports, which Rota then runs again by itself", fmt.Errorf("%w%s", o.err, out))
	default: // it didn't start, or its input or output broke
		return r.fail(op, rota.ClassWait, "", o.err)
	}
}

// verb is what happened to a program that took too long.
func (o outcome) verb() string {
	if o.escaped {
		return "given up, as it can't be ended,"
	}
	return "ended"
}

// hint is what a person can do about a program that was ended.
func (o outcome) hint() string {
	switch {
	case o.escaped:
		return "end it where it runs: it became another user, whose programs Rota's user may not end"
	case o.late:
		return hintTimeout
	}
	return "" // something else ended it
}

const hintTimeout = "set a longer timeout if it needs more time"

// ready finds the program and checks its working folder.
func (r *runner) ready(op string) (path string, err error) {
	if path, err = r.find(); err != nil {
		return "", r.fail(op, rota.ClassStop, "install the program where Rota runs, or correct its path", err)
	}
	if err := r.folder(); err != nil {
		return "", r.fail(op, rota.ClassStop, "create the working folder, or correct its path", err)
	}
	if err := r.trusted(path); err != nil {
		return "", r.fail(op, rota.ClassStop, "", err)
	}
	return path, nil
}

// fail is an error without the values that have to be hidden.
func (r *runner) fail(op string, class rota.Class, hint string, err error, also ...rota.Credential) error {
	e := &rota.Error{System: r.config.Name, Op: op, Class: class, Remedies: rota.Outside(hint), Err: err}
	return rota.Sanitize(e, append(also, r.hidden())...)
}

// hidden is what no error may show, in the form the sanitizer takes.
func (r *runner) hidden() rota.Credential {
	fields := map[string]string{}
	for i, value := range r.config.Hidden {
		fields[strconv.Itoa(i)] = value
	}
	return rota.NewCredential(fields)
}

// environment is what the program sees, apart from the mark.
func (r *runner) environment(variables map[string]string) []string {
	env := map[string]string{}
	for _, name := range slices.Concat(inherited, r.config.Inherit) {
		if value, ok := os.LookupEnv(name); ok {
			env[name] = value
		}
	}
	maps.Copy(env, r.config.Env)
	maps.Copy(env, variables)
	list := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}

// find is the program's path, looked up in the PATH it will see.
func (r *runner) find() (string, error) {
	program := r.config.Command[0]
	if filepath.IsAbs(program) {
		return exec.LookPath(program)
	}
	return r.lookUp(program)
}

// lookUp finds a program in the PATH that this one will see.
func (r *runner) lookUp(program string) (string, error) {
	path, own := r.config.Env["PATH"]
	if !own {
		path = os.Getenv("PATH")
	}
	for _, dir := range filepath.SplitList(path) {
		if !filepath.IsAbs(dir) {
			continue // the working folder's owner must not choose the program
		}
		if found, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return found, nil
		}
	}
	return "", fmt.Errorf("%s: %w in PATH %q", program, exec.ErrNotFound, path)
}

// folder checks the working folder.
func (r *runner) folder() error {
	if r.config.Dir == "" {
		return nil
	}
	if info, err := os.Stat(r.config.Dir); err != nil || !info.IsDir() {
		return fmt.Errorf("working folder %s: %w", r.config.Dir, errFolder)
	}
	return nil
}
