package provider

import (
	"slices"
	"strings"
)

// Cause is why a system refuses something, as its own words show it.
type Cause struct {
	// Words are in lower case. A refusal with any of them has this cause.
	Words []string
	// Text is what a person can do. A %s stands for the connection's name.
	Text string
}

// RemedyFor is what to do about a refusal that says this: the text of the first cause
// whose words are in there, or otherwise.
func RemedyFor(said, connection string, causes []Cause, otherwise string) string {
	said = strings.ToLower(said)
	for _, c := range causes {
		if slices.ContainsFunc(c.Words, func(word string) bool { return strings.Contains(said, word) }) {
			return strings.ReplaceAll(c.Text, "%s", connection)
		}
	}
	return otherwise
}
