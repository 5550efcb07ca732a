package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// suggest makes the hint for a word that is none of the known ones: the
// nearest of them, or all of them where none is near.
func suggest(word string, known []string) string {
	nearest := Nearest(word, known)
	switch {
	case nearest != "":
		return fmt.Sprintf("did you mean %q?", nearest)
	case len(known) == 0:
		return ""
	default:
		return "try: " + strings.Join(known, ", ")
	}
}

// Nearest is the known word that a mistyped one was likely meant to be, "" where
// none is near.
func Nearest(word string, known []string) string {
	best, nearest := len(word)/3+2, ""
	for _, k := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(k)); d < best {
			best, nearest = d, k
		}
	}
	return nearest
}

// distance is how many letters must be put in, left out or changed to make b
// of a (Levenshtein's). Long words are not compared.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

// sortedNames are the keys of a map, sorted, for hints.
func sortedNames[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
