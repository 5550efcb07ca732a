package takeover

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

const document = "../../docs/migrate.md"

// road is a section of the document with its commands and files.
type road struct {
	heading string
	blocks  []*block
}

// block is a fenced piece of a section.
type block struct {
	language string // sh, yaml or sql
	text     string
	line     int
	used     bool
}

var fence = regexp.MustCompile("^( *)```([a-z]*)$")

// readRoads reads the document's sections that have blocks, in order.
func readRoads(t *testing.T) []*road {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	var roads []*road
	var open *block
	var indent string
	for i, line := range strings.Split(string(text), "\n") {
		switch f := fence.FindStringSubmatch(line); {
		case open != nil && f != nil:
			open = nil
		case open != nil:
			open.text += strings.TrimPrefix(line, indent) + "\n"
		case f != nil:
			indent = f[1]
			open = &block{language: f[2], line: i + 1}
			r := roads[len(roads)-1]
			r.blocks = append(r.blocks, open)
		case strings.HasPrefix(line, "## "):
			roads = append(roads, &road{heading: strings.TrimPrefix(line, "## ")})
		}
	}
	return roads
}

// find is the only block of a language that contains a text.
func (r *road) find(t *testing.T, language, part string) *block {
	t.Helper()
	var found *block
	for _, b := range r.blocks {
		if b.language != language || !strings.Contains(b.text, part) {
			continue
		}
		if found != nil {
			t.Fatalf("%s: lines %d and %d both contain %q", document, found.line, b.line, part)
		}
		found = b
	}
	if found == nil {
		t.Fatalf("%s: %s has no %s block with %q", document, r.heading, language, part)
	}
	found.used = true
	return found
}

// walks are the tests of the roads, by their headings.
var walks = map[string]func(*testing.T, *road){
	"One Lambda function for each IAM user":           walkFunctionPerUser,
	"Events on days 90, 100 and 110":                  walkEvents,
	"AWS's single-user function for PostgreSQL":       walkSingleUser,
	"AWS's alternating-users function for PostgreSQL": walkAlternatingUsers,
	"A cron script":         walkCron,
	"cloud-key-rotator":     walkCloudKeyRotator,
	"Static roles in Vault": walkVault,
}

// TestEveryCommandOfTheDocument runs all of them.
func TestEveryCommandOfTheDocument(t *testing.T) {
	walked := 0
	for _, r := range readRoads(t) {
		if len(r.blocks) == 0 {
			continue
		}
		walk := walks[r.heading]
		if walk == nil {
			t.Errorf("%s: nothing runs the commands of %q", document, r.heading)
			continue
		}
		walked++
		t.Run(r.heading, func(t *testing.T) {
			walk(t, r)
			for _, b := range r.blocks {
				if !b.used && !t.Failed() && !t.Skipped() {
					t.Errorf("%s:%d: nothing runs this block", document, b.line)
				}
			}
		})
	}
	if walked != len(walks) {
		t.Errorf("%d of %d roads are in the document", walked, len(walks))
	}
}
