package agent

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
)

// Launch says what a child process gets of its secrets.
type Launch struct {
	// Env are environment variables, each with a field or a template.
	Env map[string]string
	// Files are environment variables that get the path of a file, each with the
	// path of its template.
	Files map[string]string
	// Prefix begins the names of the variables if there is neither of them.
	// Defaults to the last part of each secret's name.
	Prefix *string
}

// plan is a Launch whose templates have been read.
type plan struct {
	env, files rota.FieldMap
	all        bool // every field is a variable
	prefix     *string
	named      map[string]string // the files' names by variable
	secrets    []string
}

// made is what a child gets.
type made struct {
	env   []string // NAME=value, sorted
	files map[string]string
}

func (m made) equal(other made) bool {
	return slices.Equal(m.env, other.env) && maps.Equal(m.files, other.files)
}

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// maxTemplate bounds a template's file.
const maxTemplate = 1 << 20

// plan reads the templates.
func (l Launch) plan(secrets []string) (*plan, error) {
	p := &plan{all: len(l.Env) == 0 && len(l.Files) == 0, prefix: l.Prefix, named: map[string]string{}, secrets: secrets}
	for _, names := range []map[string]string{l.Env, l.Files} {
		for name := range names {
			if !variable.MatchString(name) {
				return nil, rota.WithRemedies(fmt.Errorf("%q isn't a variable's name", name), rota.Outside("letters, digits and _, not beginning with a digit"))
			}
		}
	}
	var err error
	if p.env, err = rota.ParseFieldMap(l.Env, nil); err != nil {
		return nil, err
	}
	templates, of := map[string]string{}, map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(l.Files)) {
		path := l.Files[name]
		if _, twice := l.Env[name]; twice {
			return nil, fmt.Errorf("the variable %s is set twice", name)
		}
		text, err := ReadTemplate(path)
		if err != nil {
			return nil, err
		}
		base := strings.TrimSuffix(filepath.Base(path), ".tmpl")
		if of[base] != "" {
			return nil, fmt.Errorf("the templates of %s and %s both make a file called %s", of[base], name, base)
		}
		p.named[name], of[base], templates[path] = base, name, text
	}
	p.files, err = rota.ParseFieldMap(templates, nil)
	return p, err
}

// ReadTemplate reads the template of a file.
func ReadTemplate(path string) (string, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return "", fmt.Errorf("the template: %w", err)
	case info.Size() > maxTemplate:
		return "", fmt.Errorf("the template %s is larger than %d bytes", path, maxTemplate)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("the template: %w", err)
	}
	if !strings.ContainsRune(string(text), '{') { // a field map would take it for a field's name
		return "", rota.WithRemedies(fmt.Errorf("the template %s names no field", path), rota.Outside("{password} where the field's value belongs"))
	}
	return string(text), nil
}

// make fills the templates in.
func (p *plan) make(c rota.Credential) (made, error) {
	var m made
	var values map[string]string
	var err error
	switch {
	case p.all:
		if values, err = p.everything(c); err != nil {
			return made{}, err
		}
	case len(p.env.Names()) > 0:
		if values, err = p.env.Render(c); err != nil {
			return made{}, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if strings.ContainsRune(values[name], 0) {
			return made{}, rota.WithRemedies(fmt.Errorf("%s: the value has a zero byte, which no environment variable can have", name), rota.Command("--file"))
		}
		m.env = append(m.env, name+"="+values[name])
	}
	if len(p.named) == 0 {
		return m, nil
	}
	if m.files, err = p.files.Render(c); err != nil {
		return made{}, fmt.Errorf("the template %w", err)
	}
	return m, nil
}

// everything is a variable for each field, such as ORDERS_DB_PASSWORD.
func (p *plan) everything(c rota.Credential) (map[string]string, error) {
	values, from, fields := map[string]string{}, map[string]string{}, c.Fields()
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		secret, field := p.secrets[0], name
		if len(p.secrets) > 1 {
			secret, field, _ = strings.Cut(name, ":")
		}
		prefix := secret[strings.LastIndexByte(secret, '/')+1:] + "_"
		if p.prefix != nil {
			prefix = *p.prefix
		}
		named := upper(prefix + field)
		if other, twice := from[named]; twice {
			return nil, rota.WithRemedies(fmt.Errorf("%s and %s would both be the variable %s", other, name, named), rota.Command("--env NAME=TEMPLATE"))
		}
		from[named], values[named] = name, fields[name]
	}
	return values, nil
}

// upper makes a variable's name of any text.
func upper(text string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_':
			return r
		}
		return '_'
	}, text)
	if name != "" && name[0] >= '0' && name[0] <= '9' {
		name = "_" + name
	}
	return name
}
