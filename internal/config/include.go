package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"

	"go.yaml.in/yaml/v4"

	"github.com/rota-dev/rota/provider"
)

// Part is a file that another one includes. Settings for Rota as a whole stay
// in rota.yaml, so that no team's file changes what applies to another team.
type Part struct {
	At          Pos                    `json:"-"`
	Include     []provider.Plain       `json:"include,omitzero"`
	Connections map[string]*Connection `json:"connections,omitzero"`
	Secrets     []*Secret              `json:"secrets,omitzero"`
}

// source is one file that was read.
type source struct {
	path     string // or the resource's id
	data     []byte
	resource bool // it isn't on disk
}

// inclusion is a pattern, and the files it matched.
type inclusion struct {
	pattern string
	files   []string
}

// includer reads the files that a configuration includes, and adds what they
// hold to its document.
type includer struct {
	*decoder
	document *Document
	sources  []source
	patterns []inclusion
	size     int
	done     []string // the real paths of files read so far
	open     []string // of those that are being read, outermost first
}

// include reads the files that match patterns in the file at path.
func (x *includer) include(path string, patterns []provider.Plain) {
	x.open = append(x.open, realPath(path))
	defer func() { x.open = x.open[:len(x.open)-1] }()
	for _, p := range patterns {
		if p.Text == "" {
			continue // already reported
		}
		if x.more {
			return
		}
		pattern := p.Text
		if !filepath.IsAbs(pattern) {
			pattern = filepath.Join(filepath.Dir(path), pattern)
		}
		if n := wildcards(p.Text); n > maxWildcards {
			x.add(p.At, Path{"include"}, "teams/*.yaml, or teams/*/rota.yaml", "%q has %d parts with *, ? or [, and so would search too much of the disk whenever Rota looks for changes", p.Text, n)
			continue
		}
		files, err := matching(pattern)
		if err != nil {
			x.add(p.At, Path{"include"}, "teams/*.yaml", "%q is not a pattern: *, ? and [a-z] stand for characters of a name", p.Text)
			continue
		}
		x.patterns = append(x.patterns, inclusion{pattern, files})
		if len(files) == 0 {
			x.warnings.add(p.At, Path{"include"}, "correct the pattern, or remove it", "no file matches %q in %s", p.Text, filepath.Dir(path))
		}
		for _, file := range files {
			if x.more {
				return
			}
			x.file(p, file)
		}
	}
}

// file reads one included file, and what that one includes.
func (x *includer) file(by provider.Plain, path string) {
	refuse := func(hint, format string, args ...any) { x.add(by.At, Path{"include"}, hint, format, args...) }
	id := realPath(path)
	switch {
	case id == x.open[len(x.open)-1]:
		refuse("a folder of its own for what is included, such as teams/*.yaml", "%s includes itself", path)
		return
	case slices.Contains(x.open, id):
		refuse("remove one of the two", "%s includes this file in turn", path)
		return
	case slices.Contains(x.done, id):
		return // by another pattern or file
	}
	x.done = append(x.done, id)
	data, err := readIncluded(path, maxSize-x.size)
	if err != nil {
		hint := "correct the path: a relative one starts at the folder of the file that includes"
		if errors.Is(err, fs.ErrPermission) {
			hint = "let the user that Rota runs as read it"
		}
		refuse(hint, "%s can't be read: %v", path, err)
		return
	}
	x.size += len(data)
	x.sources = append(x.sources, source{path: path, data: data})
	var part Part
	outer := x.in
	x.in = path
	if n := x.parse(data); n != nil {
		x.onlyParts(n)
		x.value(n, reflect.ValueOf(&part).Elem(), nil, "")
	}
	x.in = outer
	x.merge(part)
	x.include(path, part.Include)
}

// merge adds a part to the document. Names count in all files together.
func (x *includer) merge(p Part) {
	for _, name := range slices.Sorted(maps.Keys(p.Connections)) {
		c := p.Connections[name]
		if first, twice := x.document.Connections[name]; twice {
			if c != nil && first != nil {
				x.add(c.At, Path{"connections"}, "one of the two, which all files can use, or another name", "connection %q is already %s", name, x.place(first.At, c.At))
			}
			continue
		}
		if x.document.Connections == nil {
			x.document.Connections = map[string]*Connection{}
		}
		x.document.Connections[name] = c
	}
	x.document.Secrets = append(x.document.Secrets, p.Secrets...)
}

// onlyParts refuses the keys that only the main file can have, and drops them.
func (x *includer) onlyParts(n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(n.Content); {
		key := n.Content[i]
		if key.Value != "defaults" && key.Value != "server" && key.Value != "access" {
			i += 2
			continue
		}
		x.problem(key, Path{key.Value}, "move it to "+filepath.Base(x.problems.file)+"; it's for all files", "an included file can't have this")
		n.Content = slices.Delete(n.Content, i, i+2)
	}
}

// maxWildcards is how many parts of a pattern may have special characters.
const maxWildcards = 2

func wildcards(pattern string) (n int) {
	for part := range strings.SplitSeq(filepath.ToSlash(pattern), "/") {
		if strings.ContainsAny(part, "*?[") {
			n++
		}
	}
	return n
}

// matching returns the files that match a pattern, sorted. Names that begin with
// a dot, such as editors' temporary files, match only a pattern that does too. A
// pattern without special characters matches whether the file exists or not.
func matching(pattern string) ([]string, error) {
	if !strings.ContainsAny(pattern, `*?[\`) {
		return []string{pattern}, nil
	}
	files, err := filepath.Glob(pattern)
	hidden := strings.HasPrefix(filepath.Base(pattern), ".")
	return slices.DeleteFunc(files, func(file string) bool { return !hidden && strings.HasPrefix(filepath.Base(file), ".") }), err
}

var errLarge = fmt.Errorf("all files together are larger than %d MiB", maxSize>>20)

// readIncluded reads a regular file of the given length or shorter.
func readIncluded(path string, most int) ([]byte, error) {
	f, err := openAtOnce(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat() // of what was opened: a path may lead elsewhere by now
	switch {
	case err != nil:
		return nil, withoutPath(err)
	case info.IsDir():
		return nil, errors.New("it is a folder")
	case !info.Mode().IsRegular():
		return nil, errors.New("it is not a regular file")
	}
	data, err := io.ReadAll(io.LimitReader(f, int64(most)+1))
	if err == nil && len(data) > most {
		return nil, errLarge
	}
	return data, err
}

// openAtOnce opens a file to read it. Unlike os.Open, it doesn't wait for somebody
// to open the other end of a pipe, which may never happen.
func openAtOnce(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

func withoutPath(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

// realPath identifies a file, however it's reached.
func realPath(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if whole, err := filepath.Abs(path); err == nil {
		path = whole
	}
	return path
}

// Unchanged reports whether the files on disk are still those that were read.
func (f *File) Unchanged() bool {
	if f.changed != nil && f.changed() {
		return false
	}
	for _, s := range f.sources {
		if s.resource {
			continue
		}
		data, err := readIncluded(s.path, len(s.data))
		if err != nil || !bytes.Equal(data, s.data) {
			return false
		}
	}
	for _, p := range f.included {
		if files, err := matching(p.pattern); err != nil || !slices.Equal(files, p.files) {
			return false
		}
	}
	return true
}

// Files returns the paths of all files that were read, rota.yaml first.
func (f *File) Files() []string {
	var paths []string
	for _, s := range f.sources {
		if !s.resource {
			paths = append(paths, s.path)
		}
	}
	return paths
}

// place says where something else is, from here.
func (p *problems) place(there, here Pos) string {
	if there.File == here.File {
		return fmt.Sprintf("on line %d", there.Line)
	}
	return fmt.Sprintf("at %s:%d", cmp.Or(there.File, p.file), there.Line)
}

// located is a reference with the file it's written in, where a relative path
// begins.
type located struct {
	provider.Reference
	file string // "" for rota.yaml
}

// distinct returns the references of all texts, in order and without
// duplicates.
func distinct(texts []Text) []located {
	var all []located
	for _, t := range texts {
		for _, ref := range t.References() {
			all = append(all, located{ref, t.At.File})
		}
	}
	slices.SortFunc(all, func(a, b located) int {
		return cmp.Or(cmp.Compare(a.String(), b.String()), cmp.Compare(a.file, b.file))
	})
	return slices.Compact(all)
}

// Unresolved returns, for each secret with references to variables or files that
// have no value, the first of them. It looks at no other system.
func (f *File) Unresolved(env Environment) map[string]error {
	w := newWiring(f, env)
	missing := func(of any) error {
		for _, t := range textsOf(of) {
			for _, ref := range t.References() {
				if ref.Kind == provider.RefSecret {
					continue
				}
				if _, err := w.lookUpPlain(ref, t); err != nil {
					return w.unresolved(ref, t, err)
				}
			}
		}
		return nil
	}
	connections := map[string]error{}
	for name, c := range f.Document.Connections {
		connections[name] = missing(c)
	}
	out := map[string]error{}
	for _, s := range f.Document.Secrets {
		err := missing(s)
		for _, name := range f.uses(s) {
			err = cmp.Or(err, connections[name])
		}
		if err != nil {
			out[s.Name.Text] = err
		}
	}
	return out
}
