package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/rotaserver"
	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/file"
)

// Options say what an agent does.
type Options struct {
	Config *config.Agent
	// Path is where the configuration was read.
	Path string
	// LookupEnv reads the environment: systemd says there where its folders are.
	LookupEnv func(string) (string, bool)
	// Env is the environment of commands, as NAME=value.
	Env []string
	// Source replaces the server, for tests.
	Source client.Source
	// UserAgent is what the agent calls itself at the server.
	UserAgent string
	Log       *slog.Logger
}

// Agent keeps files up to date and answers AWS SDKs. It's made from one reading of
// its configuration, and runs once.
type Agent struct {
	o        Options
	login    Login
	state    string
	files    []*managed
	commands map[string]*command
	aws      *endpoint
	splay    time.Duration
}

// New checks everything that can be checked on this machine. It asks no server and
// writes nothing.
func New(o Options) (*Agent, error) {
	c := o.Config
	a := &Agent{o: o, state: c.State.Text, commands: map[string]*command{}, splay: c.Splay.Length}
	if a.state == "" {
		a.state, _ = o.LookupEnv("STATE_DIRECTORY")
	}
	var err error
	if a.login, err = o.login(); err != nil {
		return nil, err
	}
	for name, c := range c.Commands {
		a.commands[name] = newCommand(name, texts(c.Run), cmp.Or(c.Timeout.Length, commandTimeout), a)
	}
	for i := range c.Files {
		m, err := a.manage(&c.Files[i])
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", o.Path, c.Files[i].At.Line, err)
		}
		a.files = append(a.files, m)
	}
	if c.AWS != nil {
		a.aws = newEndpoint(c.AWS, o.Log)
	}
	return a, nil
}

// login says how to log in.
func (o Options) login() (Login, error) {
	c := o.Config
	l := Login{Server: c.Server.Text, CAFile: c.ServerCA.Text, TokenFile: c.Login.TokenFile.Text, UserAgent: o.UserAgent}
	if name := c.Login.Credential.Text; name != "" {
		var err error
		if l.TokenFile, err = o.credential(name); err != nil {
			return l, fmt.Errorf("%s:%d: %w", o.Path, c.Login.Credential.At.Line, err)
		}
	}
	if x := c.Login.Certificate; x != nil {
		l.CertFile, l.KeyFile = x.Cert.Text, x.Key.Text
	}
	if x := c.Login.OIDC; x != nil {
		l.OIDC = &OIDC{TokenURL: x.TokenURL.Text, ClientID: x.ClientID.Text, ClientSecretFile: x.ClientSecretFile.Text, Audience: x.Audience.Text, Scopes: texts(x.Scopes)}
	}
	return l, nil
}

// credential is the file of one of systemd's credentials.
func (o Options) credential(name string) (string, error) {
	dir, ok := o.LookupEnv("CREDENTIALS_DIRECTORY")
	if !ok {
		return "", rota.WithRemedies(fmt.Errorf("there's no credential %q: systemd has set no CREDENTIALS_DIRECTORY", name),
			rota.Outside("LoadCredential="+name+":/etc/rota/"+name+" in the unit, or token_file in place of credential"))
	}
	return filepath.Join(dir, filepath.Base(name)), nil
}

// own are the files that nothing may be written to.
func (a *Agent) own() []provider.OwnPath {
	var own []provider.OwnPath
	add := func(path, what string) {
		if absolute, err := filepath.Abs(path); path != "" && err == nil {
			own = append(own, provider.OwnPath{Path: absolute, What: what})
		}
	}
	add(a.o.Path, "the agent's configuration")
	add(a.state, "the agent's state folder")
	add(a.login.TokenFile, "the agent's token")
	add(a.login.KeyFile, "the agent's key")
	add(a.login.CertFile, "the agent's certificate")
	if c := a.o.Config.Cache; c != nil {
		add(c.Folder.Text, "the agent's cache")
		add(c.KeyFile.Text, "the cache's key")
	}
	return own
}

// manage makes the target of a file.
func (a *Agent) manage(f *config.AgentFile) (*managed, error) {
	var template string
	if f.Template.IsSet() {
		path := f.Template.Text
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(a.o.Path), path)
		}
		var err error
		if template, err = ReadTemplate(path); err != nil {
			return nil, err
		}
	}
	s, err := f.Settings(template)
	if err != nil {
		if f.Template.IsSet() {
			err = fmt.Errorf("the template %s: %w", f.Template.Text, err)
		}
		return nil, err
	}
	t, err := file.New(file.Config{
		Path: f.Path.Text, Format: s.Format, Profile: s.Profile, Registry: s.Registry, User: s.User, Fields: s.Fields,
		Mode: fs.FileMode(f.Mode.Perm()), Owner: f.Owner.Text, Group: f.Group.Text, Own: a.own(),
	})
	if err != nil {
		return nil, err
	}
	return &managed{path: f.Path.Text, target: t, names: f.Names(), command: a.commands[f.Command.Text], log: a.o.Log}, nil
}

// Check reports what would keep the agent from writing its files. It asks no server.
func (a *Agent) Check(ctx context.Context) []rota.Finding {
	var findings []rota.Finding
	for _, m := range a.files {
		if p, ok := m.target.(rota.Preflighter); ok {
			findings = append(findings, p.Preflight(ctx)...)
		}
	}
	for _, c := range a.commands {
		findings = append(findings, c.check())
	}
	return findings
}

// Run keeps everything up to date until ctx ends. Ready is called once every file is
// there and the endpoint listens. With once, Run returns then.
func (a *Agent) Run(ctx context.Context, once bool, ready func(aws net.Addr)) error {
	c, err := a.open()
	if err != nil {
		return err
	}
	defer c.Close()
	for _, m := range a.files {
		m.secrets = NewSecrets(c, m.names...)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var address net.Addr
	failed := make(chan error, 1)
	if a.aws != nil && !once {
		if address, err = a.aws.serve(ctx, c, failed); err != nil {
			return err
		}
		defer a.aws.close()
	}
	w := &writer{agent: a, wake: make(chan struct{}, 1)}
	defer w.stop()
	return w.run(ctx, once, failed, func() {
		if ready != nil {
			ready(address)
		}
	})
}

// open opens the client.
func (a *Agent) open() (*client.Client, error) {
	o := client.Options{Source: a.o.Source, Logger: a.o.Log}
	if o.Source == nil {
		server, err := a.login.Client()
		if err != nil {
			return nil, err
		}
		o.Source = rotaserver.New(server)
	}
	if c := a.o.Config.Cache; c != nil {
		key := c.KeyFile.Text
		var err error
		if name := c.KeyCredential.Text; name != "" {
			if key, err = a.o.credential(name); err != nil {
				return nil, err
			}
		}
		if o.Cache, err = OpenCache(c.Folder.Text, key); err != nil {
			return nil, err
		}
	}
	return client.Open(o)
}

// Secrets are the names of all secrets, sorted.
func (a *Agent) Secrets() []string {
	var names []string
	for _, m := range a.files {
		names = append(names, m.names...)
	}
	if c := a.o.Config.AWS; c != nil {
		for _, x := range c.Credentials {
			names = append(names, x.Secret.Text)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func texts(list []provider.Plain) []string {
	var all []string
	for _, p := range list {
		all = append(all, p.Text)
	}
	return all
}

var errNotAll = errors.New("not every file could be written")
