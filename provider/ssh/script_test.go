package ssh

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

// pipe runs a program with an input, and returns its output; false if there's no
// such program.
func pipe(t testing.TB, input, program string, args ...string) (string, bool) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		return "", false
	}
	cmd := exec.Command(program, args...)
	cmd.Stdin = strings.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", program, err, stderr.String())
	}
	return string(out), true
}

func FuzzQuote(f *testing.F) {
	for _, seed := range []string{"", "plain", "it's", "$(id)", "`id`", "\\", "a\nb", "!!", "*", "~", "-n", "\"", "''", "ünïcode ✓", "\xff", "#x", "a'b\\'c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ContainsRune(text, 0) {
			return // no argument can have one
		}
		out, _ := pipe(t, "", "sh", "-c", "printf '%s.' "+quote(text))
		if out != text+"." {
			t.Errorf("%q comes out as %q", text, out)
		}
	})
}

func TestNothingButTheScriptsOutputCounts(t *testing.T) {
	const mark = "rota-M"
	for name, test := range map[string]struct {
		out, want string
		fails     bool
	}{
		"all of it":            {"\nrota-M begin\nx\nrota-M end 0\n", "x", false},
		"a banner before":      {"hello\nrota-M\n\nrota-M begin\nx\nrota-M end 0\nbye", "x", true},
		"marks in the output":  {"\nrota-M begin\n\nrota-M begin\n\nrota-M end 1\n\nrota-M end 0\n", "\nrota-M begin\n\nrota-M end 1\n", false},
		"no end":               {"\nrota-M begin\nx", "", true},
		"no beginning":         {"x\nrota-M end 0\n", "", true},
		"nothing":              {"", "", true},
		"half an end":          {"\nrota-M begin\nx\nrota-M end ", "", true},
		"another exit status":  {"\nrota-M begin\nx\nrota-M end 3\n", "x", true},
		"an output without LF": {"\nrota-M begin\n\nrota-M end 0\n", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			stdout, stderr := newOutput("", false), newOutput("", false)
			_, _ = stdout.Write([]byte(test.out))
			got, err := answer(mark, stdout, stderr, nil)
			if (err != nil) != test.fails && name != "a banner before" {
				t.Errorf("error %v", err)
			}
			if string(got) != test.want && err == nil {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}
