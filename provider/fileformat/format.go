// Package fileformat writes a credential into a file's content, as JSON, dotenv, a
// profile of an AWS credentials file and more, and keeps what else is in there. It
// knows nothing of where the file is: that's what targets are for.
package fileformat

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/rota-dev/rota"
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

// MaxSize is more than any credentials file needs, in bytes. Targets refuse larger
// files.
const MaxSize = 1 << 20

// Settings say how a credential is written.
type Settings struct {
	// Format is one of the formats.
	Format string
	// Profile is the profile in an AWS credentials file. Defaults to "default"; for
	// other formats it stays empty.
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
}

// Writer writes credentials as its settings say. It's safe for concurrent use.
type Writer struct {
	settings Settings
	format   format
}

// format merges values into a file's content and keeps everything else. Its
// errors name lines and keys, never their content.
type format func(existing []byte, values map[string]string) ([]byte, error)

// New checks the settings.
func New(s Settings) (*Writer, error) {
	refuse := func(hint, format string, args ...any) (*Writer, error) {
		return nil, rota.WithRemedies(fmt.Errorf(format, args...), rota.Configure("", hint))
	}
	if s.Profile != "" && s.Format != AWSCredentials {
		return refuse("", "profile %q is for the format %s only", s.Profile, AWSCredentials)
	}
	if (s.Registry != "") != (s.Format == DockerConfig) {
		return refuse("registry.example.org", "the format %s, and no other, needs a registry", DockerConfig)
	}
	if s.User != "" && s.Format != Htpasswd {
		return refuse("", "user %q is for the format %s only", s.User, Htpasswd)
	}
	if s.Format == Text && len(s.Fields.Names()) == 0 {
		return refuse("fields: {content: password}", "the format %s needs to know its content", Text)
	}
	for _, name := range s.Fields.Names() {
		if err := checkName(s.Format, name); err != nil {
			return nil, err
		}
	}
	w := &Writer{settings: s}
	switch s.Format {
	case JSON:
		w.format = mergeJSON
	case Dotenv:
		w.format = mergeDotenv
	case AWSCredentials:
		profile := cmp.Or(s.Profile, defaultProfile)
		if strings.ContainsAny(profile, "[]\r\n") || strings.TrimSpace(profile) != profile {
			return refuse("", "profile %q can't be written in an AWS credentials file", profile)
		}
		w.format = func(existing []byte, values map[string]string) ([]byte, error) {
			return mergeAWS(existing, profile, values)
		}
	case Text:
		w.format = wholeFile
	case Htpasswd:
		w.format = func(existing []byte, values map[string]string) ([]byte, error) {
			return mergeHtpasswd(existing, cmp.Or(s.User, values[userName]), values[passwordName])
		}
	case DockerConfig:
		w.format = func(existing []byte, values map[string]string) ([]byte, error) {
			return mergeDockerConfig(existing, s.Registry, values)
		}
	default:
		return refuse(strings.Join(formats, ", "), "format %q is not known", s.Format)
	}
	return w, nil
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

// Values are the credential's values under the file's names for them.
func (w *Writer) Values(c rota.Credential) (map[string]string, error) {
	values, err := w.settings.Fields.Render(c)
	if err != nil {
		return nil, err
	}
	if len(values) == 0 {
		return nil, errors.New("the credential has no fields")
	}
	if w.settings.Format != AWSCredentials {
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

// Merge puts values into a file's content and keeps everything else. Content that
// can't be read for sure is refused. Errors name lines and keys, never what's in
// them.
func (w *Writer) Merge(existing []byte, values map[string]string) ([]byte, error) {
	return w.format(existing, values)
}

// Sample are values for the names in the file, as far as they're known before
// there's a credential.
func (w *Writer) Sample() map[string]string {
	values := map[string]string{}
	switch w.settings.Format {
	case JSON, Dotenv, AWSCredentials:
	default:
		for _, name := range []string{userName, passwordName, contentName} {
			values[name] = sampleValue
		}
	}
	for _, name := range w.settings.Fields.Names() {
		if own, ok := awsNames[name]; ok && w.settings.Format == AWSCredentials {
			name = own
		}
		values[name] = sampleValue
	}
	return values
}

const (
	sampleValue    = "rota-check"
	defaultProfile = "default"
)
