package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rota-dev/rota/internal/access"
)

// suggest makes the hint for a word that is none of the known ones: the
// nearest of them, or all of them where none is near.
func suggest(word string, known []string) string {
	nearest := access.Nearest(word, known)
	switch {
	case nearest != "":
		return fmt.Sprintf("did you mean %q?", nearest)
	case len(known) == 0:
		return ""
	default:
		return "try: " + strings.Join(known, ", ")
	}
}

// sortedNames are the keys of a map, sorted, for hints.
func sortedNames[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
