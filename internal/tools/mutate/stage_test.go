package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTheQuickTestsRunFirst(t *testing.T) {
	s := &stage{takes: map[string]time.Duration{"TestLife": 3 * time.Second, "TestTable": time.Second / 10, "TestOne": time.Millisecond}}
	for _, test := range []struct {
		names []string
		want  [][]string
	}{
		{[]string{"TestLife", "TestTable", "TestOne"}, [][]string{{"TestOne", "TestTable"}, {"TestLife"}}},
		{[]string{"TestTable", "TestOne"}, [][]string{{"TestOne"}, {"TestTable"}}},
		{[]string{"TestLife"}, [][]string{{"TestLife"}}},
	} {
		if diff := cmp.Diff(test.want, s.batches(test.names)); diff != "" {
			t.Error(diff)
		}
	}
}
