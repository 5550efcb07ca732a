package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/fileformat"
)

// The formats of a file.
const (
	JSON           = fileformat.JSON
	Dotenv         = fileformat.Dotenv
	AWSCredentials = fileformat.AWSCredentials
	Text           = fileformat.Text
	Htpasswd       = fileformat.Htpasswd
	DockerConfig   = fileformat.DockerConfig
)

// Config describes a file that gets the current credential.
type Config struct {
	// Name is the target's name. Defaults to "file " and the path.
	Name string
	// Path is the file's absolute path. Its folder must exist. A symbolic link
	// in place of the file is rejected: anyone who could create it would
	// decide where the secret goes. Links among the folders are followed. A
	// folder, link or file that a stranger may have created, because others can
	// write to the folder around it, is refused unless it belongs to Owner.
	Path string
	// Format is one of the formats.
	Format string
	// Profile is the profile in an AWS credentials file. Defaults to
	// "default"; for other formats it stays empty.
	Profile string
	// Registry is the registry in a Docker config.json, as Docker writes it there:
	// registry.example.org, or https://index.docker.io/v1/.
	Registry string
	// User is the user's name in an htpasswd file. Defaults to the credential's
	// username.
	User string
	// Fields names the values. Defaults to the fields' own names, in an AWS
	// credentials file to aws_access_key_id and aws_secret_access_key. A text file
	// has one, called content; htpasswd and Docker's config have username and
	// password.
	Fields rota.FieldMap
	// Mode is that of a new file, or of one that gets another owner or group,
	// and the widest that an existing file keeps: what it grants beyond this is
	// taken away. Defaults to 0600 for a new file; an existing one then keeps
	// its mode, except for what that grants to everyone on the machine.
	Mode fs.FileMode
	// Owner and Group are names or numbers. They default to those of the file
	// being replaced, or of this process if there is none. Where others may
	// have put that file there, it's refused; see [Config.Path].
	Owner, Group string
	// Own are the files and folders of Rota's own, which are never written to.
	Own []provider.OwnPath
}

// target is the file.
type target struct {
	config Config
	writer *fileformat.Writer
	mu     sync.Mutex // one delivery at a time, if the system has no locks
}

// New checks the config and returns the target. It touches no file.
func New(c Config) (rota.Target, error) {
	if c.Name == "" {
		c.Name = "file " + c.Path
	}
	refuse := func(hint, format string, args ...any) (rota.Target, error) {
		return nil, fmt.Errorf("%s: %w", c.Name, rota.WithRemedies(fmt.Errorf(format, args...), rota.Configure("", hint)))
	}
	if c.Path == "" || !filepath.IsAbs(c.Path) || strings.HasSuffix(c.Path, "/") || strings.ContainsRune(c.Path, 0) {
		return refuse("/etc/app/credentials.json", "path %q is not the absolute path of a file", c.Path)
	}
	c.Path = filepath.Clean(c.Path)
	if c.Mode&^fs.ModePerm != 0 {
		return refuse("0600, 0640", "mode %#o has more than permission bits", uint32(c.Mode))
	}
	if c.Mode&0o002 != 0 {
		return refuse("0600, 0640", "mode %#o lets everyone write the file", uint32(c.Mode))
	}
	writer, err := fileformat.New(fileformat.Settings{Format: c.Format, Profile: c.Profile, Registry: c.Registry, User: c.User, Fields: c.Fields})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	return &target{config: c, writer: writer}, nil
}

// Name is the target's name.
func (t *target) Name() string { return t.config.Name }

// Deliver merges the credential into the file. A file that already contains
// it, with the right mode and owner, isn't written again.
func (t *target) Deliver(ctx context.Context, r rota.DeliverRequest) error {
	if err := t.deliver(ctx, r.Credential); err != nil {
		class := rota.ClassStop
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			class = rota.ClassWait
		}
		return rota.Sanitize(&rota.Error{System: t.config.Name, Class: class, Err: err, Remedies: rota.Outside(hint(err))}, r.Credential)
	}
	return nil
}

func (t *target) deliver(ctx context.Context, c rota.Credential) error {
	values, err := t.writer.Values(c)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	p, err := openPlace(ctx, t.config)
	if err != nil {
		return err
	}
	defer p.close()
	merged, err := t.writer.Merge(p.content, values)
	if err != nil {
		return fmt.Errorf("%s: %w", t.config.Path, err)
	}
	if bytes.Equal(merged, p.content) && p.inOrder() {
		return nil
	}
	return p.replace(merged)
}

// hint is what a person can do about a file system error.
func hint(err error) string {
	switch {
	case errors.Is(err, errNoFolder):
		return "create the folder, for the user that Rota runs as"
	case errors.Is(err, fs.ErrPermission):
		return "give the user that Rota runs as the right to write the folder, or run it as the file's owner"
	}
	return ""
}
