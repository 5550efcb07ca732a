package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/internal/agent/supervise"
)

// ExecOptions say what to run with which secrets.
type ExecOptions struct {
	// Client opens the client, once everything else is known to be right.
	Client  func(ctx context.Context) (*client.Client, error)
	Secrets []string
	Launch  Launch
	// Args are the program's name and its arguments.
	Args []string
	// Env is this process's environment, as NAME=value. The child gets it without
	// what is Rota's own, unless KeepToken.
	Env       []string
	KeepToken bool
	// Once leaves the child alone once it has started.
	Once bool
	// Supervise says what a change means. Start, Refresh, Changes and Signals are
	// filled in.
	Supervise supervise.Options
	// Signals are those that this process has got since it started.
	Signals <-chan os.Signal
	Log     *slog.Logger
}

// ExitError is the child's exit code, or the one for a child that couldn't start.
type ExitError struct {
	Code int
	Err  error // nil if the child has said all there is to say
}

func (e *ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("the child exited with %d", e.Code)
	}
	return e.Err.Error()
}

func (e *ExitError) Unwrap() error { return e.Err }

// rotasOwn are variables that let their reader act as whoever started the agent.
var rotasOwn = []string{"ROTA_TOKEN", "ROTA_TOKEN_FILE", "ROTA_CLIENT_CERT", "ROTA_CLIENT_KEY", "ROTA_DATABASE", "ROTA_MASTER_KEY"}

// Exec runs the program until it ends. Its error is an [ExitError] if a program was
// started, or could not be.
func Exec(ctx context.Context, o ExecOptions) (err error) {
	path, code, err := supervise.Look(o.Args[0])
	if err != nil {
		return &ExitError{Code: code, Err: err}
	}
	o.Secrets = slices.Compact(slices.Sorted(slices.Values(o.Secrets)))
	x := &execution{ExecOptions: o, path: path, changes: make(chan struct{}, 1)}
	if x.plan, err = o.Launch.plan(o.Secrets); err != nil {
		return err
	}
	c, err := o.Client(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	x.secrets = NewSecrets(c, o.Secrets...)
	if !o.Once {
		defer x.secrets.Watch(x.changed)()
	}
	if err := x.first(ctx); err != nil {
		return x.interrupted(ctx, err)
	}
	if len(x.plan.named) > 0 {
		if x.private, err = NewPrivate(x.lookupEnv); err != nil {
			return err
		}
		defer func() {
			if gone := x.private.Remove(); gone != nil {
				o.Log.Error("the files with the secrets can't be removed", "error", gone)
			}
		}()
	}
	if err := x.interrupted(ctx, nil); err != nil {
		return err
	}
	return x.run(context.WithoutCancel(ctx))
}

// execution is an Exec on its way.
type execution struct {
	ExecOptions
	path    string
	plan    *plan
	secrets *Secrets
	private *Private
	changes chan struct{}
	want    made // what the next child gets
	host    *supervise.Host
}

func (x *execution) changed() {
	select {
	case x.changes <- struct{}{}:
	default:
	}
}

// first waits for the first values.
func (x *execution) first(ctx context.Context) error {
	c, err := x.secrets.Current(ctx)
	if err != nil {
		return err
	}
	x.want, err = x.plan.make(c)
	return err
}

// signalDelay is how long after the context's end its signal may arrive here.
const signalDelay = 100 * time.Millisecond

// interrupted returns the exit code for a signal that came before the child.
func (x *execution) interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil && len(x.Signals) == 0 {
		time.Sleep(signalDelay)
	}
	for {
		select {
		case s := <-x.Signals:
			n, ok := s.(syscall.Signal)
			if ok && slices.Contains([]syscall.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM}, n) {
				return &ExitError{Code: supervise.Exit{Signal: n}.Status()}
			}
		default:
			return err
		}
	}
}

func (x *execution) run(ctx context.Context) error {
	x.host = supervise.NewHost()
	defer x.host.Close()
	o := x.Supervise
	o.Start, o.Refresh, o.Signals, o.Log = x.start, x.refresh, x.Signals, x.Log
	if !x.Once {
		o.Changes = x.changes
	}
	if o.Settle == 0 {
		o.Settle = 250 * time.Millisecond
	}
	code, err := supervise.Run(ctx, o)
	if err != nil {
		return err
	}
	if code != 0 {
		return &ExitError{Code: code}
	}
	return nil
}

// start starts a child with what is current.
func (x *execution) start() (supervise.Process, error) {
	if err := x.write(); err != nil {
		return nil, err
	}
	p, err := x.host.Start(supervise.Command{
		Path: x.path, Args: x.Args, Env: x.environment(), Files: [3]*os.File{os.Stdin, os.Stdout, os.Stderr},
	})
	if err != nil {
		code := supervise.ExitNotExecutable
		if errors.Is(err, os.ErrNotExist) {
			code = supervise.ExitNotFound
		}
		return nil, &ExitError{Code: code, Err: err}
	}
	return p, nil
}

// write writes the files.
func (x *execution) write() error {
	for name, base := range x.plan.named {
		if err := x.private.Write(base, []byte(x.want.files[x.Launch.Files[name]])); err != nil {
			return fmt.Errorf("the file of %s: %w", name, err)
		}
	}
	return nil
}

// refresh makes a new version current: for the next child, and in the files.
func (x *execution) refresh(ctx context.Context) (bool, error) {
	c, err := x.secrets.Current(ctx)
	if err != nil {
		return false, err
	}
	next, err := x.plan.make(c)
	if err != nil || next.equal(x.want) {
		return false, rota.Sanitize(err, c)
	}
	x.want = next
	if x.Supervise.OnChange.Restart {
		return true, nil // the next child's start writes the files
	}
	return true, x.write()
}

func (x *execution) lookupEnv(name string) (string, bool) {
	for _, pair := range x.Env {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value, true
		}
	}
	return "", false
}

// environment is the child's: this process's, what it gets of the secrets, and where
// its files are.
func (x *execution) environment() []string {
	set := map[string]bool{}
	added := slices.Clone(x.want.env)
	for name, base := range x.plan.named {
		added = append(added, name+"="+x.private.Path(base))
	}
	for _, pair := range added {
		name, _, _ := strings.Cut(pair, "=")
		set[name] = true
	}
	var env []string
	for _, pair := range x.Env {
		name, _, _ := strings.Cut(pair, "=")
		if !set[name] && (x.KeepToken || !slices.Contains(rotasOwn, name)) {
			env = append(env, pair)
		}
	}
	return append(env, added...)
}
