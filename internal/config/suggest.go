package config

import (
	"maps"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
)

// suggest makes the remedies for an unknown word: the closest known word, or
// all of them if none is close.
func suggest(word string, known []string) []rota.Remedy {
	if nearest := access.Nearest(word, known); nearest != "" {
		return rota.Correct(nearest)
	}
	return rota.Configure("", strings.Join(known, ", "))
}

// sortedNames returns a map's keys, sorted, for use in hints.
func sortedNames[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
