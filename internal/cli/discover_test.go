package cli

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNoCellOfTheCSVIsAFormula(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var out bytes.Buffer
		a := &app{Program: Program{Stdout: &out}}
		cell := rapid.OneOf(rapid.SampledFrom([]string{"=cmd", "-x", "+1", "@a", "\tb", "\rc", ""}), rapid.StringMatching(`[ -~]{0,8}`))
		want := rapid.SliceOfN(rapid.SliceOfN(cell, 2, 2), 1, 12).Draw(t, "rows")
		if err := a.printCSV(want); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(&out).ReadAll()
		if err != nil || len(rows) != len(want) {
			t.Fatal(len(rows), err)
		}
		for _, row := range rows {
			for _, cell := range row {
				if strings.ContainsAny(cell[:min(1, len(cell))], "=+-@\t\r\n") {
					t.Fatalf("%q", cell)
				}
			}
		}
	})
}
