// Command testreport reads the events of go test -json, prints what failed in
// full and the rest in one line a package, and at the end what was counted:
// the lines that tests print with the prefix "count:", every skipped test with
// its reason, and the totals. It fails if a test failed, if none ran, or if one
// was skipped where ROTA_REQUIRE=all.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// event is one line of go test -json; see go doc test2json.
type event struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Output     string
	Elapsed    float64
}

func main() {
	os.Exit(report(os.Stdin, os.Stdout, os.Getenv("ROTA_REQUIRE") == "all"))
}

func report(in io.Reader, out io.Writer, requireAll bool) int {
	output := map[string][]string{} // by package and test
	var counts, skips []string
	passed, failed, skipped, broken := 0, 0, 0, 0
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(out, lines.Text())
			continue
		}
		key := e.Package + " " + e.Test
		switch e.Action {
		case "output":
			output[key] = append(output[key], e.Output)
			if _, count, ok := strings.Cut(e.Output, ": count: "); ok {
				counts = append(counts, strings.TrimSpace(count))
			}
		case "build-output":
			fmt.Fprint(out, e.Output)
		case "build-fail":
			broken++
		case "pass":
			if e.Test != "" {
				passed++
				delete(output, key)
			} else {
				fmt.Fprintf(out, "ok    %-40s %6.1fs\n", e.Package, e.Elapsed)
			}
		case "skip":
			if e.Test != "" {
				skipped++
				skips = append(skips, e.Package+" "+e.Test+": "+lastLine(output[key]))
			}
		case "fail":
			if e.Test != "" {
				failed++
			} else {
				broken++
				fmt.Fprintf(out, "FAIL  %-40s %6.1fs\n", e.Package, e.Elapsed)
			}
			fmt.Fprint(out, strings.Join(output[key], ""))
		}
	}
	if err := lines.Err(); err != nil {
		fmt.Fprintln(out, "testreport:", err)
		return 1
	}
	section(out, "Counted:", counts)
	section(out, "Skipped:", skips)
	fmt.Fprintf(out, "\n%d passed, %d failed, %d skipped\n", passed, failed, skipped)
	if failed > 0 || broken > 0 || passed == 0 || (requireAll && skipped > 0) {
		return 1
	}
	return 0
}

func section(out io.Writer, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	slices.Sort(lines)
	fmt.Fprintf(out, "\n%s\n", title)
	for _, l := range slices.Compact(lines) {
		fmt.Fprintln(out, "  "+l)
	}
}

// lastLine is the reason in a skipped test's output, which ends with its
// "--- SKIP" line.
func lastLine(output []string) string {
	for _, l := range slices.Backward(output) {
		l = strings.TrimSpace(l)
		if l != "" && !strings.HasPrefix(l, "--- SKIP") {
			return l
		}
	}
	return "no reason given"
}
