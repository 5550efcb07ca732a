package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// equivalents are the mutants that change nothing anybody could notice, with
// why. In the file, each is one line, as mutate prints it, followed by the
// reason:
//
//	FILE | FUNCTION | MUTATION | SOURCE — WHY
type equivalents struct {
	path    string
	entries []equivalent
}

type equivalent struct {
	line     int
	key, why string
}

// separator stands between a mutant and why it's equivalent.
const separator = " — "

func readEquivalent(path string) (equivalents, error) {
	list := equivalents{path: path}
	if path == "" {
		return list, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return list, err
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		i := strings.LastIndex(line, separator)
		if i < 0 {
			return list, fmt.Errorf("%s:%d: it doesn't say why it's equivalent (after %q)", path, n, separator)
		}
		e := equivalent{line: n, key: line[:i], why: strings.TrimSpace(line[i+len(separator):])}
		if slices.ContainsFunc(list.entries, func(other equivalent) bool { return other.key == e.key }) {
			return list, fmt.Errorf("%s:%d: it's listed twice", path, n)
		}
		list.entries = append(list.entries, e)
	}
	return list, nil
}

// mark notes the reasons with the mutants, and returns a complaint for each entry
// about a file that was looked at which fits no mutant in it.
func (list equivalents) mark(mutants []*mutant, packages []*pkg) (complaints []string) {
	byKey := map[string]*mutant{}
	for _, m := range mutants {
		byKey[m.key()] = m
	}
	for _, e := range list.entries {
		file, _, _ := strings.Cut(e.key, " | ")
		looked := slices.ContainsFunc(packages, func(p *pkg) bool { return slices.Contains(p.files, filepath.Clean(file)) })
		switch m := byKey[e.key]; {
		case m != nil:
			m.why = e.why
		case looked:
			complaints = append(complaints, fmt.Sprintf("%s:%d: there's no such mutant (anymore): %s", list.path, e.line, e.key))
		}
	}
	return complaints
}
