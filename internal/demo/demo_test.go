package demo

import (
	"strings"
	"testing"
)

func TestTheDemoTellsAWholeLife(t *testing.T) {
	var out strings.Builder
	if err := Run(t.Context(), &out, false); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	text := out.String()
	for _, want := range []string{
		"day   0", "day  90", "day 100", "day 110", "day 180", "day 190", "day 200",
		"AWSCURRENT", "AWSPREVIOUS", "inactive", "no login", "rotated", "deactivated", "deleted", "BEFORE", "refused 0 times",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the story does not tell of %q", want)
		}
	}
	if strings.Contains(text, "failed") || strings.Contains(text, "\x1b[") {
		t.Errorf("a failure or a colour in a plain story:\n%s", text)
	}
	t.Log(text)
}
