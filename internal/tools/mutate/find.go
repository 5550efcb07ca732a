package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// mutant is one small bug.
type mutant struct {
	id           int
	file         string // relative to the folder that mutate runs in
	line, column int
	function     string
	what         string // such as "always true"
	source       string // what it's done to, on one line
	nth          int    // among the same in one function, from 1

	why      string // it's listed as equivalent, because of this
	own      bool   // the package's own tests notice it
	reached  bool   // a test gets there
	finished bool   // it went through every stage
	killedBy string // the stage that noticed it
}

// key says which mutant it is without line numbers, so that it stays the same
// when code around it moves.
func (m *mutant) key() string { return m.file + " | " + m.String() }

func (m *mutant) String() string {
	s := fmt.Sprintf("%s | %s | %s", m.function, m.what, m.source)
	if m.nth > 1 {
		s += fmt.Sprintf(" | %d", m.nth)
	}
	return s
}

func (m *mutant) survives() bool { return m.finished && m.killedBy == "" && m.why == "" }

// unreached says so, for people, if no test runs the mutant's line.
func (m *mutant) unreached() string {
	if m.reached {
		return ""
	}
	return " (no test gets there)"
}

// pkg is a package with mutants in some of its files.
type pkg struct {
	dir   string
	name  string
	files []string
	// instrumented is the text with all mutants, by file.
	instrumented map[string][]byte
}

// findPackages groups the files that the paths mean by package.
func findPackages(paths []string) ([]*pkg, error) {
	var packages []*pkg
	add := func(file string) {
		dir := filepath.Dir(file)
		i := slices.IndexFunc(packages, func(p *pkg) bool { return p.dir == dir })
		if i < 0 {
			i = len(packages)
			packages = append(packages, &pkg{dir: dir, instrumented: map[string][]byte{}})
		}
		if !slices.Contains(packages[i].files, file) {
			packages[i].files = append(packages[i].files, file)
		}
	}
	for _, path := range paths {
		path = filepath.Clean(path)
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			if mutable(path) {
				add(path)
			}
			continue
		}
		files, err := filepath.Glob(filepath.Join(path, "*.go"))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			if mutable(file) {
				add(file)
			}
		}
	}
	return packages, nil
}

func mutable(file string) bool {
	return strings.HasSuffix(file, ".go") && !strings.HasSuffix(file, "_test.go")
}

// instrument finds the mutants of the package's files and appends them.
func (p *pkg) instrument(all *[]*mutant) error {
	for _, file := range p.files {
		src, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		tree, err := parser.ParseFile(fset, file, src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		p.name = tree.Name.Name
		if ast.IsGenerated(tree) {
			continue
		}
		in := &instrumenter{fset: fset, file: file, src: src, all: all, seen: map[string]int{}}
		for _, d := range tree.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil {
				in.function = funcName(f)
				in.body(f.Type, f.Body)
			}
		}
		p.instrumented[file] = in.text()
	}
	return nil
}

func funcName(f *ast.FuncDecl) string {
	if f.Recv == nil || len(f.Recv.List) == 0 {
		return f.Name.Name
	}
	t := f.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	switch g := t.(type) {
	case *ast.IndexExpr:
		t = g.X
	case *ast.IndexListExpr:
		t = g.X
	}
	if id, ok := t.(*ast.Ident); ok {
		return id.Name + "." + f.Name.Name
	}
	return f.Name.Name
}
