package provider

import (
	"strings"
	"testing"
)

// References split a value without losing a character of it, and errors hold
// nothing of the value.
func FuzzReferences(f *testing.F) {
	for _, s := range []string{"", "plain", "${env:X}", "a${file:/run/x}b${secret:a/b#c}", "$${env:X}", "$$${env:X}", "${", "${}", "${env:", "$", "}${"} {
		f.Add(s)
	}
	known := map[malformed]bool{}
	for _, s := range []string{"${", "${x}", "${env:}", "${file:}", "${secret:}"} {
		_, wrong := parseReferences(s)
		if wrong == nil {
			f.Fatalf("%q is taken", s)
		}
		known[*wrong] = true
	}
	f.Fuzz(func(t *testing.T, s string) {
		pieces, wrong := parseReferences(s)
		if wrong != nil {
			if !known[*wrong] {
				t.Errorf("an error that depends on the value: %v", *wrong)
			}
			return
		}
		var back strings.Builder
		for _, p := range pieces {
			if p.ref != nil {
				back.WriteString(p.ref.String())
				continue
			}
			back.WriteString(strings.ReplaceAll(p.literal, "${", "$${"))
		}
		if got := back.String(); got != s {
			t.Errorf("%q came back as %q", s, got)
		}
	})
}
