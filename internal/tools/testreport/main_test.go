package main

import (
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	const pass = `{"Action":"output","Package":"p","Test":"TestA","Output":"    x_test.go:1: count: matrix 12 cells\n"}
{"Action":"pass","Package":"p","Test":"TestA"}
`
	const skip = `{"Action":"output","Package":"p","Test":"TestB","Output":"    y_test.go:9: PostgreSQL is missing\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"--- SKIP: TestB (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestB"}
`
	const fail = `{"Action":"output","Package":"p","Test":"TestC","Output":"got 1, want 2\n"}
{"Action":"fail","Package":"p","Test":"TestC"}
{"Action":"fail","Package":"p"}
`
	const buildFail = `{"Action":"build-output","ImportPath":"p","Output":"undefined: x\n"}
{"Action":"build-fail","ImportPath":"p"}
`
	for _, test := range []struct {
		name, in string
		require  bool
		code     int
		want     []string
	}{
		{"a pass is counted", pass, true, 0, []string{"1 passed, 0 failed, 0 skipped", "matrix 12 cells"}},
		{"a skip is shown with its reason", pass + skip, false, 0, []string{"1 passed, 0 failed, 1 skipped", "p TestB: y_test.go:9: PostgreSQL is missing"}},
		{"a skip fails where all is required", pass + skip, true, 1, []string{"1 skipped"}},
		{"a failure is printed in full", pass + fail, false, 1, []string{"got 1, want 2", "1 failed"}},
		{"what does not build fails", pass + buildFail, false, 1, []string{"undefined: x"}},
		{"no test at all fails", "", false, 1, []string{"0 passed"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out strings.Builder
			if code := report(strings.NewReader(test.in), &out, test.require); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			for _, want := range test.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %q in:\n%s", want, out.String())
				}
			}
		})
	}
}
