package httpapi

import (
	"crypto/rand"
	"regexp"
	"strings"
)

// Names are what the tokens of one secret are called: a name, a dash and the id of the
// version that each is for. Should the answer be lost, the list tells whose it is.
type Names string

// marked is the end of a token's name: a version's id, or what makes the name unique.
var marked = regexp.MustCompile(`^-(?:((?:rota-)?[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})|[A-Z2-7]{26})$`)

// New is the name of a token for a version.
func (n Names) New(version string) string {
	end := "-" + version
	if !marked.MatchString(end) { // such as a request's own token: the list wouldn't show it
		end = "-" + rand.Text()
	}
	return string(n) + end
}

// Has reports whether a token has one of these names, and the version's id in it, ""
// if there's none. One that a person made may have the name alone.
func (n Names) Has(name string) (mark string, ours bool) {
	end, ours := strings.CutPrefix(name, string(n))
	if !ours || end == "" {
		return "", ours
	}
	if m := marked.FindStringSubmatch(end); m != nil {
		return m[1], true
	}
	return "", false
}
