package config

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// The largest file accepted, and the most lines and values in it, with all that
// it includes: enough for several hundred thousand secrets. Anything larger is
// probably a mistake, or an attack on the parser, which needs some hundred bytes
// for each value.
const (
	maxSize  = 16 << 20
	maxParts = 2_000_000
)

// File is a rota.yaml that has been read and validated.
type File struct {
	Path     string
	Document Document

	sources    []source    // the file itself and what it includes, as they were read
	included   []inclusion // the patterns of all files
	warnings   []Problem
	policies   map[string]rotation.Policy // by secret name, merged with the defaults
	references []located                  // of all texts, deduplicated
	catalog    *Catalog
	resources  map[string]*Resource // of a cluster, by id
	changed    func() bool          // whether what else it was compiled from has changed; nil for nothing
}

// Load reads and validates a file that uses this catalog's kinds. It looks at
// nothing outside the file. It returns all problems at once, as [Errors], up to
// maxProblems. When the context ends, it returns at once. What kept it busy, such as
// a pipe that nobody writes to, may then go on for a while.
func (c *Catalog) Load(ctx context.Context, path string) (*File, error) {
	type result struct {
		file *File
		err  error
	}
	done := make(chan result, 1)
	go func() {
		file, err := c.load(path)
		done <- result{file, err}
	}()
	select {
	case r := <-done:
		return r.file, r.err
	case <-ctx.Done():
		return nil, fmt.Errorf("config %s: reading it was interrupted: %w", path, ctx.Err())
	}
}

func (c *Catalog) load(path string) (*File, error) {
	data, err := readMain(path)
	if err != nil {
		return nil, err
	}
	return c.Parse(path, data)
}

// readMain reads rota.yaml itself.
func readMain(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, rota.WithRemedies(fmt.Errorf("config %s: %w", path, os.ErrNotExist), rota.Command("rota init"))
	}
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return data, nil
}

// Parse is [Catalog.Load] for a file's content. The path appears in errors, and relative
// paths in ${file:…} are relative to its folder.
func (c *Catalog) Parse(path string, data []byte) (*File, error) {
	return c.parse(path, data, nil, nil, nil)
}

// parse is Parse, with the resources that have a spec.
func (c *Catalog) parse(path string, data []byte, resources []*Resource, specs map[*Resource]map[string]any, incumbents map[string]string) (*File, error) {
	d := &decoder{catalog: c, problems: problems{file: path}, warnings: problems{file: path}}
	f := &File{Path: path, sources: []source{{path: path, data: data}}, catalog: c}
	n := d.parse(data)
	if n != nil {
		d.value(n, reflect.ValueOf(&f.Document).Elem(), nil, "")
		d.include(f)
		if err := d.addResources(f, resources, specs); err != nil {
			return nil, err
		}
		f.resources = d.resources
	}
	if n != nil && !d.more { // otherwise there's enough to correct first
		if n.Kind == yaml.MappingNode && resources == nil && !slices.ContainsFunc(n.Content, func(key *yaml.Node) bool { return key.Value == "secrets" || key.Value == "include" }) {
			d.problem(n, top, "", "secrets is missing")
		}
		v := &validator{decoder: d, doc: &f.Document, bad: d.bad(), policies: map[string]rotation.Policy{}, incumbents: incumbents}
		v.document()
		keepApart(v.policies)
		f.policies, f.references = v.policies, distinct(textsOf(&f.Document))
		d.ownTargets(f)
	}
	if len(d.list) > 0 {
		return nil, Errors(d.sorted())
	}
	f.warnings = d.warnings.sorted()
	return f, nil
}

// include adds to a file what it includes.
func (d *decoder) include(f *File) {
	if len(f.Document.Include) == 0 {
		return
	}
	x := &includer{decoder: d, document: &f.Document, sources: f.sources, size: len(f.sources[0].data)}
	x.include(f.Path, f.Document.Include)
	f.sources, f.included = x.sources, x.patterns
}

// parse returns the root node of the only document.
func (d *decoder) parse(data []byte) *yaml.Node {
	start := Pos{File: d.in, Line: 1, Column: 1}
	if len(data) > maxSize {
		d.add(start, nil, "several files, each with a data folder of its own", "the file is larger than %d MiB", maxSize>>20)
		return nil
	}
	if d.parts += parts(data); d.parts > maxParts {
		d.add(start, nil, "several files, each with a data folder of its own", "it and what it includes have more than %d lines and values", maxParts)
		return nil
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var n, more yaml.Node
	switch err := decoder.Decode(&n); {
	case errors.Is(err, io.EOF):
		d.suggest(start, nil, rota.Command("rota init"), "the file is empty")
		return nil
	case err != nil:
		d.syntax(err, data)
		return nil
	}
	switch err := decoder.Decode(&more); {
	case err == nil:
		d.problem(&more, nil, "one document per file; include puts files together", "a second document begins here")
		return nil
	case !errors.Is(err, io.EOF):
		d.syntax(err, data)
		return nil
	}
	if n.Kind != yaml.DocumentNode || len(n.Content) != 1 || n.Content[0].ShortTag() == "!!null" {
		d.suggest(start, nil, rota.Command("rota init"), "the file is empty")
		return nil
	}
	return n.Content[0]
}

// parts returns how many lines and values a file has, or a few more: each but the
// first follows one of these characters.
func parts(data []byte) (n int) {
	for _, mark := range []string{"\n", ",", ":", "[", "{", "- ", "? "} {
		n += bytes.Count(data, []byte(mark))
	}
	return n
}

var unknownAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)

// syntax turns the parser's error into a problem with a position. It omits
// anchor names, which might be passwords that start with an asterisk.
func (d *decoder) syntax(err error, data []byte) {
	place, message, hint := Pos{File: d.in, Line: 1, Column: 1}, err.Error(), "check the indentation and the brackets, and quote texts with a colon or # in them"
	if e, ok := errors.AsType[*yaml.LoadError](err); ok {
		message = e.Message
		if e.Mark.Line > 0 {
			place = Pos{File: d.in, Line: e.Mark.Line, Column: max(e.Mark.Column, 1)}
		}
	}
	switch anchor := unknownAnchor.FindStringSubmatch(message); {
	case anchor != nil:
		message, hint = "an alias without an anchor", "quote a text that begins with *"
	case !utf8.Valid(data):
		before := data[:validPrefix(data)]
		message, hint = "this byte isn't UTF-8", "save the file as UTF-8"
		place.Line = 1 + bytes.Count(before, []byte("\n"))
		place.Column = len(before) - bytes.LastIndexByte(before, '\n')
	case strings.Contains(message, "cannot start any token"), strings.Contains(message, "tab character"):
		hint = "spaces instead of tabs; quotes around a text that begins with @, % or a backtick"
	case strings.Contains(message, "incompatible YAML document"):
		message, hint = "this %YAML version isn't supported", "leave the %YAML line out"
	case strings.Contains(message, "did not find expected"):
		hint = "indent this line like the ones of the same list or mapping, and close quotes and brackets above it"
	case strings.Contains(message, "unexpected end of stream"):
		hint = "close the quote or bracket that is still open"
	}
	d.add(place, nil, hint, "not YAML: %s", message)
}

// validPrefix is the length of the text before the first byte that isn't UTF-8.
func validPrefix(data []byte) int {
	for at := 0; at < len(data); {
		r, size := utf8.DecodeRune(data[at:])
		if r == utf8.RuneError && size <= 1 {
			return at
		}
		at += size
	}
	return len(data)
}

// Warnings returns possible mistakes and risks that aren't errors.
func (f *File) Warnings() []Problem { return f.warnings }

// Names returns the names of the secrets, in the file's order.
func (f *File) Names() []string {
	names := make([]string, len(f.Document.Secrets))
	for i, s := range f.Document.Secrets {
		names[i] = s.Name.Text
	}
	return names
}

// Owners returns the owner of each secret that has one.
func (f *File) Owners() map[string]string {
	owners := map[string]string{}
	for _, s := range f.Document.Secrets {
		if s.Owner.Text != "" {
			owners[s.Name.Text] = s.Owner.Text
		}
	}
	return owners
}

// Has reports whether there's a secret of that name.
func (f *File) Has(name string) bool {
	_, ok := f.policies[name]
	return ok
}

// Policy returns a secret's policy, merged over the defaults, or the zero
// Policy if the file has no such secret.
func (f *File) Policy(name string) rotation.Policy { return f.policies[name] }

// Issuer returns the kind of a secret's issuer and its configuration, of the
// type its provider defines. The kind is "" if the file has no such secret.
func (f *File) Issuer(name string) (kind string, config any) {
	for _, s := range f.Document.Secrets {
		if s.Name.Text == name {
			return s.Issuer.Kind.Key(), s.Issuer.Kind.config
		}
	}
	return "", nil
}

// IssuerFields returns the fields needed to adopt a credential of the secret.
func (f *File) IssuerFields(name string) []string {
	for _, s := range f.Document.Secrets {
		if s.Name.Text == name {
			facts, _ := s.Issuer.facts()
			return facts.Fields.Login
		}
	}
	return nil
}
