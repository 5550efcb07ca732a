package ssh

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// CommandConfig describes a command that reloads what runs on each of a
// connection's hosts.
type CommandConfig struct {
	// Name is the reloader's name. Defaults to "command " and the program.
	Name string
	// Run is the program and its arguments, passed on as they are.
	Run []string
	// RunAs is the user who runs it, through sudo. Defaults to the user that Rota
	// logs in as.
	RunAs string
	// Timeout is how long it may run. Defaults to 10 minutes.
	Timeout time.Duration
}

const defaultRun = 10 * time.Minute

// remoteCommand is a command on each host.
type remoteCommand struct {
	c   *Connection
	cfg CommandConfig
	as  string
}

var (
	_ rota.Reloader    = (*remoteCommand)(nil)
	_ rota.Preflighter = (*remoteCommand)(nil)
)

// Command returns the reloader that runs a command on each host, one host after the
// other: while one reloads, the others serve.
func (c *Connection) Command(cfg CommandConfig) (rota.Reloader, error) {
	fail := func(err error) (rota.Reloader, error) {
		return nil, fmt.Errorf("%s: %s: %w", c.system(), cfg.Name, err)
	}
	if len(cfg.Run) == 0 || cfg.Run[0] == "" {
		return fail(rota.WithRemedies(errors.New("no program to run"), rota.Configure("run", "run: [systemctl, reload, app]")))
	}
	if cfg.Name == "" {
		cfg.Name = "command " + cfg.Run[0]
	}
	if strings.ContainsRune(strings.Join(cfg.Run, ""), 0) {
		return fail(errors.New("an argument contains a NUL byte"))
	}
	if cfg.RunAs != "" {
		if err := checkUser(cfg.RunAs); err != nil {
			return fail(err)
		}
	}
	if cfg.Timeout < 0 {
		return fail(fmt.Errorf("timeout %s is negative", cfg.Timeout))
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultRun
	}
	return &remoteCommand{c: c, cfg: cfg, as: c.through(cfg.RunAs)}, nil
}

// Name implements [rota.Reloader].
func (r *remoteCommand) Name() string { return r.cfg.Name }

// line is the command as a shell has it. sudo stands within the script, so that a
// line in sudoers can allow just this command.
func (r *remoteCommand) line() string {
	words := make([]string, len(r.cfg.Run))
	for i, word := range r.cfg.Run {
		words[i] = quote(word)
	}
	line := strings.Join(words, " ")
	if r.as != "" {
		line = "sudo -n -u " + r.as + " -- " + line
	}
	return line
}

// watchScript runs a command and ends it when the script's standard input ends:
// sshd doesn't pass signals on to everybody. The command's own is empty.
const watchScript = `export ROTA_SECRET ROTA_VERSION
exec 3<&0
%s </dev/null 2>&1 3<&- &
pid=$!
{ cat <&3; kill -TERM "$pid" 2>/dev/null; } >/dev/null 2>&1 &
watch=$!
exec 3<&-
wait "$pid"
status=$?
kill "$watch" 2>/dev/null
exit "$status"`

// Reload implements [rota.Reloader]: it runs the command on one host after the
// other, and stops at the first where it fails.
func (r *remoteCommand) Reload(ctx context.Context, q rota.ReloadRequest) error {
	op := "run " + r.cfg.Run[0]
	for _, n := range r.c.nodes {
		if err := r.run(ctx, n, q); err != nil {
			return r.c.failed(ctx, n.at(op), err)
		}
	}
	return nil
}

func (r *remoteCommand) run(ctx context.Context, n *node, q rota.ReloadRequest) error {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	started := time.Now()
	out, err := n.run(ctx, script{op: "reload", text: fmt.Sprintf(watchScript, r.line()), lifeline: true, chatty: true,
		vars: []variable{{"ROTA_SECRET", q.Secret}, {"ROTA_VERSION", q.Version}}})
	if exit, ok := errors.AsType[*exitError](err); ok {
		said := ending(string(out) + "\n" + exit.said)
		text := fmt.Sprintf("exit status %d", exit.status)
		if said != "" {
			text += ": " + said
		}
		_, remedies := r.c.said(said, rota.ClassWait, rota.Outside("fix what the command reports, which Rota then runs again by itself"))
		return &rota.Error{System: r.c.system(), Connection: r.c.name, Op: n.at("run " + r.cfg.Run[0]), Class: rota.ClassWait, Remedies: remedies,
			Err: rota.Sanitize(errors.New(text), r.c.own())}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &rota.Error{System: r.c.system(), Connection: r.c.name, Op: n.at("run " + r.cfg.Run[0]), Class: rota.ClassWait,
			Remedies: rota.Outside("set a longer timeout if it needs more time"), Err: provider.Opaque(fmt.Sprintf("no response in time: ended after %s", time.Since(started).Round(time.Millisecond)), err, nil)}
	}
	return err
}

// Preflight implements [rota.Preflighter]. It looks for the program, and doesn't
// run it.
func (r *remoteCommand) Preflight(ctx context.Context) []rota.Finding {
	return r.c.findings(ctx, func(ctx context.Context, n *node) []rota.Finding {
		login := n.reachable(ctx, "")
		if !login.OK {
			return []rota.Finding{login}
		}
		f := rota.Finding{OK: true, Check: n.at("find " + r.cfg.Run[0])}
		look := "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin; command -v " + quote(r.cfg.Run[0])
		if r.as != "" { // whether it may is up to sudo
			f.Check = n.at("sudo may run " + r.cfg.Run[0] + " as " + r.as)
			look = "sudo -n -l -u " + r.as + " -- " + strings.TrimPrefix(r.line(), "sudo -n -u "+r.as+" -- ")
		}
		ctx, cancel := n.c.limited(ctx)
		defer cancel()
		out, err := n.run(ctx, script{op: "find the command", text: look + " </dev/null"})
		if _, ok := errors.AsType[*exitError](err); ok {
			_, remedies := r.c.said(err.Error(), rota.ClassStop, rota.Outside("install the program on the host or correct its path; with run_as, allow it in sudoers"))
			return []rota.Finding{login, {Check: f.Check, Detail: "it isn't there, or may not be run: " + err.Error(), Remedies: remedies}}
		}
		if err != nil {
			return []rota.Finding{login, provider.Failed(f.Check, n.c.failed(ctx, f.Check, err))}
		}
		f.Detail = lastLines(string(out))
		return []rota.Finding{login, f}
	})
}
