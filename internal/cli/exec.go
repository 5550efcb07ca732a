package cli

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/rotaserver"
	"github.com/rota-dev/rota/internal/agent"
	"github.com/rota-dev/rota/internal/agent/supervise"
	"github.com/rota-dev/rota/provider"
)

// exitOfChild is the lowest exit code that stands for a child's end by a signal, or
// for a child that can't be started.
const exitOfChild = supervise.ExitNotExecutable

// execFlags are the flags of rota exec.
type execFlags struct {
	secrets, env, files                                 []string
	prefix, onChange, stopSignal                        string
	splay, grace, wait                                  time.Duration
	cache, cacheKey                                     string
	once, restartFailed, keepToken, prefixed, limitStop bool
}

func (a *app) execCommand() *cobra.Command {
	var x execFlags
	c := &cobra.Command{
		Use:   "exec --secret NAME -- PROGRAM [ARGUMENT...]",
		Short: "Run a program with secrets of a running Rota",
		Long: `Runs a program with a running Rota's secrets as environment variables or files,
and restarts or signals it when they change:

  rota exec --secret prod/orders-db -- ./orders
  rota exec --secret prod/orders-db \
    --env 'DATABASE_URL=postgres://{username}:{password|url}@db/orders' -- ./orders
  rota exec --secret prod/orders-db --file APP_CONFIG=app.yaml.tmpl --on-change HUP \
    -- sh -c 'exec ./orders --config "$APP_CONFIG"'

Without --env and --file, every field becomes a variable: ORDERS_DB_PASSWORD. A
template is a text with fields in braces, as in rota.yaml: {password}, or
{prod/orders-db:password} if there are several secrets. Files are readable by this
user only, in memory if the system allows it, and removed at the end.

Signals are passed on, and the exit code is the program's: 128 and the signal's
number if a signal ended it, 127 if there's no such program, and 126 if it can't be
run. The program doesn't get the token for Rota.`,
		Args: argCount(1, -1), Annotations: inPlace(placeServer),
		RunE: func(c *cobra.Command, args []string) error {
			x.prefixed, x.limitStop = c.Flags().Changed("prefix"), c.Flags().Changed("grace")
			return a.exec(c.Context(), x, args)
		},
	}
	f := c.Flags()
	f.SetInterspersed(false) // the program's flags are its own
	f.StringArrayVar(&x.secrets, "secret", nil, "a secret's `name`; can be repeated")
	f.StringArrayVar(&x.env, "env", nil, "`NAME=TEMPLATE`: a variable with a field or a template; can be repeated")
	f.StringArrayVar(&x.files, "file", nil, "`NAME=TEMPLATE-FILE`: a variable with the path of a file made from a template; can be repeated")
	f.StringVar(&x.prefix, "prefix", "", "what the variables' names begin with, without --env and --file (default the last part of the secret's name)")
	f.StringVar(&x.onChange, "on-change", "restart", "what the program gets when a secret changes: restart, nothing, or a `signal` such as HUP")
	f.DurationVar(&x.splay, "splay", 5*time.Second, "the longest random delay before that, so that a fleet doesn't restart at once")
	f.DurationVar(&x.grace, "grace", 10*time.Second, "how long the program has to end before a restart; then it's killed. If given, also after SIGTERM and SIGINT")
	f.StringVar(&x.stopSignal, "stop-signal", "TERM", "the `signal` that asks the program to end before a restart")
	f.BoolVar(&x.once, "once", false, "leave the program alone once it has started")
	f.BoolVar(&x.restartFailed, "restart-failed", false, "start the program again if it fails, after growing pauses")
	f.BoolVar(&x.keepToken, "keep-token", false, "let the program have the token for Rota")
	f.DurationVar(&x.wait, "wait", 30*time.Second, "how long to wait for the first values while the server is away")
	f.StringVar(&x.cache, "cache", "", "the `folder` of an encrypted cache, for a start while the server is away")
	f.StringVar(&x.cacheKey, "cache-key", "", "the `file` with the cache's key: at least 16 random bytes")
	return c
}

func (a *app) exec(ctx context.Context, x execFlags, args []string) error {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, supervise.Forwarded()...)
	defer signal.Stop(signals)
	o, err := x.options()
	if err != nil {
		return err
	}
	o.Args, o.Env, o.Signals, o.Log = args, a.Env, signals, a.log
	o.Client = func(ctx context.Context) (*client.Client, error) {
		return a.openClient(ctx, client.Options{FirstWait: x.wait}, x.cache, x.cacheKey)
	}
	err = agent.Exec(ctx, o)
	if exit, ok := errors.AsType[*agent.ExitError](err); ok {
		return &exitError{code: exit.Code, err: exit.Err}
	}
	return err
}

// openClient opens a client of the server, with a cache if there is one.
func (a *app) openClient(ctx context.Context, o client.Options, cache, cacheKey string) (*client.Client, error) {
	server, err := a.client(ctx)
	if err != nil {
		return nil, err
	}
	o.Source, o.Logger = rotaserver.New(server), a.log
	if o.Cache, err = agent.OpenCache(cache, cacheKey); err != nil {
		return nil, refused(err)
	}
	return client.Open(o)
}

// options checks the flags.
func (x execFlags) options() (agent.ExecOptions, error) {
	none := agent.ExecOptions{}
	if len(x.secrets) == 0 {
		return none, rota.WithRemedies(usage("rota exec: no secret is named"), rota.Command("--secret NAME"))
	}
	for _, name := range x.secrets {
		if !provider.GoodName(name) {
			return none, rota.WithRemedies(usage("--secret %q: not a secret's name", name), rota.Command("--secret prod/orders-db"))
		}
	}
	if (x.cache == "") != (x.cacheKey == "") {
		return none, rota.WithRemedies(usage("a cache needs both its folder and its key"), rota.Command("--cache FOLDER --cache-key FILE"))
	}
	if x.splay < 0 || x.grace < 0 || x.wait <= 0 {
		return none, usage("--splay, --grace and --wait take no negative durations, and --wait no zero")
	}
	o := agent.ExecOptions{Secrets: x.secrets, Once: x.once, KeepToken: x.keepToken, Supervise: supervise.Options{
		Splay: x.splay, Grace: x.grace, RestartFailed: x.restartFailed, StopSignal: supervise.SignalNamed(strings.ToUpper(x.stopSignal)),
	}}
	if o.Supervise.StopSignal == 0 {
		return none, rota.WithRemedies(usage("--stop-signal %s: no such signal", x.stopSignal), rota.Command("--stop-signal TERM", "--stop-signal INT"))
	}
	switch x.onChange {
	case "restart":
		o.Supervise.OnChange.Restart = true
	case "nothing":
		o.Once = true
	default:
		if o.Supervise.OnChange.Signal = supervise.SignalNamed(strings.ToUpper(x.onChange)); o.Supervise.OnChange.Signal == 0 {
			return none, rota.WithRemedies(usage("--on-change %s: no such signal", x.onChange), rota.Command("--on-change restart", "--on-change HUP", "--on-change nothing"))
		}
	}
	if x.limitStop {
		o.Supervise.KillAfter = x.grace
	}
	if x.prefixed {
		o.Launch.Prefix = &x.prefix
	}
	var err error
	if o.Launch.Env, err = assignments("--env", x.env); err != nil {
		return none, err
	}
	o.Launch.Files, err = assignments("--file", x.files)
	return o, err
}

// assignments parses NAME=… flags. What follows is a template, so an error doesn't
// quote more than the name.
func assignments(flag string, list []string) (map[string]string, error) {
	m := map[string]string{}
	for _, text := range list {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" || value == "" {
			return nil, rota.WithRemedies(usage("%s: not NAME=TEMPLATE", flag), rota.Command(flag+" DB_PASSWORD=password"))
		}
		if _, twice := m[name]; twice {
			return nil, usage("%s %s is given twice", flag, name)
		}
		m[name] = value
	}
	return m, nil
}
