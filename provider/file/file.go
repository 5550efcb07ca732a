package file

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// The formats of a file.
const (
	JSON           = "json"            // one object, with a key for each value
	Dotenv         = "dotenv"          // KEY=value lines, as a shell and dotenv libraries read them
	AWSCredentials = "aws_credentials" // ~/.aws/credentials, one profile of it
	Text           = "text"            // nothing but one value, such as a key in PEM
	Htpasswd       = "htpasswd"        // name:hash lines, as Apache and nginx read them
	DockerConfig   = "docker_config"   // ~/.docker/config.json, the login for one registry
)

// formats are all of them.
var formats = []string{JSON, Dotenv, AWSCredentials, Text, Htpasswd, DockerConfig}

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
	format format
	mu     sync.Mutex // one delivery at a time, if the system has no locks
}

// format merges values into a file's content and keeps everything else. Its
// errors name lines and keys, never their content.
type format func(existing []byte, values map[string]string) ([]byte, error)

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
	if c.Profile != "" && c.Format != AWSCredentials {
		return refuse("", "profile %q is for the format %s only", c.Profile, AWSCredentials)
	}
	if (c.Registry != "") != (c.Format == DockerConfig) {
		return refuse("registry.example.org", "the format %s, and no other, needs a registry", DockerConfig)
	}
	if c.User != "" && c.Format != Htpasswd {
		return refuse("", "user %q is for the format %s only", c.User, Htpasswd)
	}
	if c.Format == Text && len(c.Fields.Names()) == 0 {
		return refuse("fields: {content: password}", "the format %s needs to know its content", Text)
	}
	for _, name := range c.Fields.Names() {
		if err := checkName(c.Format, name); err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
	}
	t := &target{config: c}
	switch c.Format {
	case JSON:
		t.format = mergeJSON
	case Dotenv:
		t.format = mergeDotenv
	case AWSCredentials:
		profile := c.Profile
		if profile == "" {
			profile = "default"
		}
		if strings.ContainsAny(profile, "[]\r\n") || strings.TrimSpace(profile) != profile {
			return refuse("", "profile %q can't be written in an AWS credentials file", profile)
		}
		t.format = func(existing []byte, values map[string]string) ([]byte, error) {
			return mergeAWS(existing, profile, values)
		}
	case Text:
		t.format = wholeFile
	case Htpasswd:
		t.format = func(existing []byte, values map[string]string) ([]byte, error) {
			return mergeHtpasswd(existing, cmp.Or(c.User, values[userName]), values[passwordName])
		}
	case DockerConfig:
		t.format = func(existing []byte, values map[string]string) ([]byte, error) {
			return mergeDockerConfig(existing, c.Registry, values)
		}
	default:
		return refuse(strings.Join(formats, ", "), "format %q is not known", c.Format)
	}
	return t, nil
}

// checkName rejects a name that no file of the format can hold.
func checkName(format, name string) error {
	switch {
	case format == Dotenv && !dotenvKey.MatchString(name):
		return rota.WithRemedies(fmt.Errorf("%q can't be a variable's name", name), rota.Configure("", "names such as DB_PASSWORD"))
	case format == AWSCredentials && (name == "" || strings.ContainsAny(name, " \t\r\n=[]#;")):
		return rota.WithRemedies(fmt.Errorf("%q can't be a setting of an AWS credentials file", name), rota.Configure("", "aws_access_key_id, aws_secret_access_key"))
	case format == Text && name != contentName:
		return rota.WithRemedies(fmt.Errorf("%q: a text file has nothing but its %s", name, contentName), rota.Configure("", "fields: {content: password}"))
	case (format == Htpasswd || format == DockerConfig) && name != userName && name != passwordName:
		return rota.WithRemedies(fmt.Errorf("%q isn't part of a login", name), rota.Configure("", "fields: {username: username, password: password}"))
	case format == JSON && !utf8.ValidString(name):
		return rota.WithRemedies(fmt.Errorf("%q is not UTF-8, which JSON can't hold", name), rota.Configure("", "a name in UTF-8"))
	}
	return nil
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
	values, err := t.values(c)
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
	merged, err := t.format(p.content, values)
	if err != nil {
		return fmt.Errorf("%s: %w", t.config.Path, err)
	}
	if bytes.Equal(merged, p.content) && p.inOrder() {
		return nil
	}
	return p.replace(merged)
}

// values are the credential's values under the file's names for them.
func (t *target) values(c rota.Credential) (map[string]string, error) {
	values, err := t.config.Fields.Render(c)
	if err != nil {
		return nil, err
	}
	if len(values) == 0 {
		return nil, errors.New("the credential has no fields")
	}
	if t.config.Format != AWSCredentials {
		return values, nil
	}
	named := make(map[string]string, len(values))
	for name, value := range values {
		if own, ok := awsNames[name]; ok {
			name = own
		}
		named[name] = value
	}
	return named, nil
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
