package ssh

import (
	"context"
	"fmt"
	"io/fs"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/fileformat"
)

// FileConfig describes a file on each of a connection's hosts that gets the current
// credential.
type FileConfig struct {
	// Name is the target's name. Defaults to "file " and the path.
	Name string
	// Path is the file's absolute path, without symbolic links. Its folder must
	// exist, and no others than its owner may write to it or to those above.
	Path string
	// Content is how the credential is written.
	Content fileformat.Settings
	// Mode is that of a new file, or of one that gets another owner or group, and
	// the widest that an existing file keeps. Defaults to 0600 for a new file.
	Mode fs.FileMode
	// Owner and Group are names or numbers. They default to the existing file's.
	Owner, Group string
	// RunAs is the user who writes the file, through sudo. Defaults to the user that
	// Rota logs in as.
	RunAs string
}

// file is a file on each host.
type file struct {
	c      *Connection
	name   string
	place  place
	writer *fileformat.Writer
}

var (
	_ rota.Target      = (*file)(nil)
	_ rota.Preflighter = (*file)(nil)
)

// File returns the target for a file on each host.
func (c *Connection) File(cfg FileConfig) (rota.Target, error) {
	if cfg.Name == "" {
		cfg.Name = "file " + cfg.Path
	}
	fail := func(err error) (rota.Target, error) { return nil, fmt.Errorf("%s: %s: %w", c.system(), cfg.Name, err) }
	if err := checkPath(cfg.Path); err != nil {
		return fail(err)
	}
	if cfg.Mode&^fs.ModePerm != 0 || cfg.Mode&0o007 != 0 {
		return fail(rota.WithRemedies(fmt.Errorf("mode %#o lets everyone of the host at the credential", uint32(cfg.Mode)), rota.Configure("mode", `"0600", or "0640" with a group`)))
	}
	for _, name := range []string{cfg.Owner, cfg.Group, cfg.RunAs} {
		if name != "" {
			if err := checkUser(name); err != nil {
				return fail(err)
			}
		}
	}
	writer, err := fileformat.New(cfg.Content)
	if err != nil {
		return fail(err)
	}
	return &file{c: c, name: cfg.Name, writer: writer,
		place: place{path: cfg.Path, as: c.through(cfg.RunAs), mode: cfg.Mode, owner: cfg.Owner, group: cfg.Group}}, nil
}

// through is the user that sudo changes to; "" if there's no need to.
func (c *Connection) through(user string) string {
	if user == c.cfg.User {
		return ""
	}
	return user
}

// Name implements [rota.Target].
func (t *file) Name() string { return t.name }

// Deliver implements [rota.Target]: it merges the credential into the file on every
// host. A file that already contains it, with the right mode and owner, isn't
// written again.
func (t *file) Deliver(ctx context.Context, r rota.DeliverRequest) error {
	op := "write " + t.place.path
	values, err := t.writer.Values(r.Credential)
	if err != nil {
		return t.c.failed(ctx, op, &refusedContent{err}, r.Credential)
	}
	return t.c.each(ctx, op, func(ctx context.Context, n *node) error {
		return t.c.failed(ctx, n.at(op), t.place.change(ctx, n, func(f *found) ([]byte, error) {
			return t.merge(f, values)
		}), r.Credential)
	})
}

// refusedContent is a file that a credential can't be merged into.
type refusedContent struct{ error }

func (e *refusedContent) Unwrap() error { return e.error }

func (t *file) merge(f *found, values map[string]string) ([]byte, error) {
	content, err := t.writer.Merge(f.content, values)
	if err != nil {
		return nil, &refusedContent{err}
	}
	return content, nil
}

// Preflight implements [rota.Preflighter]: it tries all of a delivery but for the
// last step, with zeros, and leaves nothing behind.
func (t *file) Preflight(ctx context.Context) []rota.Finding {
	return t.c.findings(ctx, func(ctx context.Context, n *node) []rota.Finding {
		login := n.reachable(ctx, t.place.as)
		if !login.OK {
			return []rota.Finding{login}
		}
		write := rota.Finding{OK: true, Check: n.at("write " + t.place.path), Detail: "a new file"}
		fail := func(err error) []rota.Finding {
			return []rota.Finding{login, provider.Failed(write.Check, n.c.failed(ctx, write.Check, err))}
		}
		f, err := t.place.read(ctx, n)
		if err != nil {
			return fail(err)
		}
		content, err := t.merge(f, t.writer.Sample())
		if err != nil {
			return fail(err)
		}
		if f.exists {
			write.Detail = fmt.Sprintf("replaces a file of %d bytes, mode %#o", len(f.content), f.perm)
			if mode := t.place.perm(f); mode != f.perm {
				write.Detail += fmt.Sprintf(", which becomes %#o", mode)
			}
		}
		if err := t.place.write(ctx, n, f, content, true); err != nil {
			return fail(err)
		}
		return []rota.Finding{login, write}
	})
}

// findings gathers those of every host, in their order.
func (c *Connection) findings(ctx context.Context, look func(context.Context, *node) []rota.Finding) []rota.Finding {
	all := make([][]rota.Finding, len(c.nodes))
	index := map[*node]int{}
	for i, n := range c.nodes {
		index[n] = i
	}
	err := c.each(ctx, "look at the hosts", func(ctx context.Context, n *node) error {
		all[index[n]] = look(ctx, n)
		return nil
	})
	if err != nil {
		return []rota.Finding{provider.Failed("look at the hosts", err)}
	}
	var findings []rota.Finding
	for _, some := range all {
		findings = append(findings, some...)
	}
	return findings
}
