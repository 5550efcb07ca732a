package config

import (
	"maps"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
)

// suggest makes the remedies for a word that's none of the known ones: the
// nearest of them, or all of them if none is near.
func suggest(word string, known []string) []rota.Remedy {
	if nearest := access.Nearest(word, known); nearest != "" {
		return rota.Correct(nearest)
	}
	return rota.Configure("", strings.Join(known, ", "))
}

// sortedNames are the keys of a map, sorted, for hints.
func sortedNames[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
