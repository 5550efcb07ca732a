package command

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rota-dev/rota"
)

// Config describes a program to run.
type Config struct {
	// Name is the reloader's or notifier's name. Defaults to "command " and
	// the program's base name.
	Name string
	// Command is the program and its arguments, passed on as they are: no
	// shell, no templates. The program is an absolute path or is looked up in
	// PATH.
	Command []string
	// Timeout is how long it may run. Defaults to 10 minutes.
	Timeout time.Duration
	// Dir is the absolute path of its working folder. Defaults to Rota's own.
	Dir string
	// Env is added to its environment and overrides inherited variables.
	// Names that begin with ROTA_ are reserved.
	Env map[string]string
	// Inherit names the variables it inherits from Rota besides PATH, HOME,
	// USER, LOGNAME, SHELL, LANG, LC_ALL, LC_CTYPE, TZ and TMPDIR. Nothing
	// else is inherited, so that none of Rota's own credentials leak.
	Inherit []string
	// Hidden are values, such as secrets in Env, that are removed from any
	// program output shown in errors.
	Hidden []string
}

// inherited is what every program may see.
var inherited = []string{"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"}

const (
	defaultTimeout = 10 * time.Minute
	// grace is how long a program has between SIGTERM and SIGKILL.
	grace = 5 * time.Second
)

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// NewReloader checks the config and returns the reloader. Each reload runs
// the program with ROTA_SECRET, the secret's name, and ROTA_VERSION in its
// environment. Exit code 0 means that the consumers are healthy on the
// version, so the program has to wait for them; any other is retried.
func NewReloader(c Config) (rota.Reloader, error) {
	r, err := newRunner(c)
	if err != nil {
		return nil, err
	}
	return &reloader{r}, nil
}

// NewNotifier checks the config and returns the notifier. Each event runs the
// program with the event as JSON on its standard input, and ROTA_EVENT, the
// event's kind, ROTA_SECRET and ROTA_VERSION in its environment. Any exit code
// other than 0 is retried.
func NewNotifier(c Config) (rota.Notifier, error) {
	r, err := newRunner(c)
	if err != nil {
		return nil, err
	}
	return &notifier{r}, nil
}

func newRunner(c Config) (*runner, error) {
	refuse := func(hint, format string, args ...any) (*runner, error) {
		return nil, fmt.Errorf("%s: %w", cmp.Or(c.Name, "command"), rota.WithRemedies(fmt.Errorf(format, args...), rota.Configure("", hint)))
	}
	if len(c.Command) == 0 || c.Command[0] == "" {
		return refuse("command: [systemctl, reload, app]", "no program to run")
	}
	c.Name = cmp.Or(c.Name, "command "+filepath.Base(c.Command[0]))
	if program := c.Command[0]; strings.ContainsRune(program, filepath.Separator) && !filepath.IsAbs(program) {
		return refuse("", "program %q is neither a name nor an absolute path", program)
	}
	if c.Dir != "" && !filepath.IsAbs(c.Dir) {
		return refuse("", "working folder %q is not an absolute path", c.Dir)
	}
	if c.Timeout < 0 {
		return refuse("", "timeout %s is negative", c.Timeout)
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		if !variable.MatchString(name) || strings.HasPrefix(name, "ROTA_") {
			return refuse("letters, digits and _", "environment variable %q: not a name, or one of Rota's own", name)
		}
	}
	for _, name := range c.Inherit {
		if !variable.MatchString(name) || strings.HasPrefix(name, "ROTA_") {
			return refuse("letters, digits and _", "inherited variable %q: not a name, or one of Rota's own", name)
		}
	}
	if slices.ContainsFunc(slices.Concat(c.Command, slices.Collect(maps.Values(c.Env))), func(s string) bool { return strings.ContainsRune(s, 0) }) {
		return refuse("", "an argument or a variable contains a NUL byte")
	}
	return &runner{config: c, grace: grace}, nil
}

// ReloaderConfig describes a reloader that speaks the protocol.
type ReloaderConfig struct {
	Config
	// Settings are handed to the program with each request.
	Settings map[string]string
}

// NewProtocolReloader checks the config and returns a reloader that sends the
// program a request with the verb reload, instead of looking only at its exit code.
func NewProtocolReloader(c ReloaderConfig) (rota.Reloader, error) {
	c.Timeout = cmp.Or(c.Timeout, defaultTimeout)
	p, err := newProgram(c.Config, c.Settings, "")
	if err != nil {
		return nil, err
	}
	return &protocolReloader{p}, nil
}

type protocolReloader struct{ *program }

// Reload asks the program to reload, and waits for its answer.
func (r *protocolReloader) Reload(ctx context.Context, q rota.ReloadRequest) error {
	_, err := r.exchange(ctx, "reload for "+q.Secret, request{Verb: VerbReload, Secret: q.Secret, Version: q.Version})
	return err
}

// TargetConfig describes a program that takes credentials.
type TargetConfig struct {
	Config
	// Settings are handed to the program with each request.
	Settings map[string]string
	// Fields choose and rename the credential's fields. Defaults to all of them.
	Fields rota.FieldMap
}

// NewTarget checks the config and returns the target, which sends the program a
// request with the verb deliver.
func NewTarget(c TargetConfig) (rota.Target, error) {
	p, err := newProgram(c.Config, c.Settings, "")
	if err != nil {
		return nil, err
	}
	return &target{p, c.Fields}, nil
}

type target struct {
	*program
	fields rota.FieldMap
}

// Deliver hands the credential to the program, and waits for its answer.
func (t *target) Deliver(ctx context.Context, q rota.DeliverRequest) error {
	op := "deliver " + q.Secret
	fields, err := t.fields.Render(q.Credential)
	if err != nil {
		return t.fail(op, rota.ClassStop, "", err)
	}
	_, err = t.exchange(ctx, op, request{Verb: VerbDeliver, Secret: q.Secret, Version: q.Version, Credential: fields, hidden: q.Credential.Fields()})
	return err
}

type reloader struct{ *runner }

// Reload runs the program and waits for it.
func (r *reloader) Reload(ctx context.Context, q rota.ReloadRequest) error {
	return r.run(ctx, "", map[string]string{"ROTA_SECRET": q.Secret, "ROTA_VERSION": q.Version}, nil)
}

type notifier struct{ *runner }

// Notify runs the program with the event and waits for it.
func (n *notifier) Notify(ctx context.Context, e rota.Event) error {
	input, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("%s: write event %s: %w", n.config.Name, e.ID, err)
	}
	return n.run(ctx, "notify of "+e.Secret,
		map[string]string{"ROTA_EVENT": string(e.Kind), "ROTA_SECRET": e.Secret, "ROTA_VERSION": e.Version}, append(input, '\n'))
}

// Name is the config's name.
func (r *runner) Name() string { return r.config.Name }

// Preflight reports whether the program could be started. It doesn't run it.
func (r *runner) Preflight(context.Context) []rota.Finding {
	f := rota.Finding{OK: true, Check: "run " + r.config.Command[0]}
	path, err := r.find()
	if err == nil {
		f.Detail = path
		err = r.folder()
	}
	if err == nil {
		if err := r.trusted(path); err != nil {
			f.OK, f.Detail, f.Remedies = false, err.Error(), rota.RemediesOf(err)
			return []rota.Finding{f}
		}
	}
	if err != nil {
		f.OK, f.Detail, f.Remedies = false, err.Error(), rota.Outside("install the program where Rota runs, or correct its path")
		if errors.Is(err, errFolder) {
			f.Remedies = rota.Outside("create the working folder, or correct its path")
		}
	}
	return []rota.Finding{f}
}
