package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestNotEveryProblemOfAHopelessFileIsReported(t *testing.T) {
	var text strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&text, "unknown%d: 1\n", i)
	}
	_, err := builtin.Parse("rota.yaml", []byte(text.String()))
	all, ok := errors.AsType[Errors](err)
	if !ok || len(all) != 201 {
		t.Fatalf("%d problems are reported: %.100v", len(all), err)
	}
	if last := all[200].Error(); !strings.HasSuffix(last, ": there are more problems than these 200") {
		t.Errorf("the last one says %q", last)
	}
}

func TestAnIncludeDoesNotSearchTheDisk(t *testing.T) {
	for pattern, refused := range map[string]bool{"/*/*/*": true, "a/*/b?/c[1]": true, "nowhere/*/*.yaml": false} {
		_, err := builtin.Parse("rota.yaml", []byte("include: [\""+pattern+"\"]\n"))
		if said := err != nil && strings.Contains(err.Error(), "would search too much of the disk"); said != refused {
			t.Errorf("%s: %v", pattern, err)
		}
	}
}
