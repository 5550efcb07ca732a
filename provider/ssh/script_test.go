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

// A host that sends an answer byte by byte must not make Rota look through all of it
// each time, nor one that never ends take its memory.
func TestOutputsThatDoNotEnd(t *testing.T) {
	o := newOutput(endOf("rota-M"), false)
	one := []byte("x")
	for range maxOutput + 10 {
		_, _ = o.Write(one)
	}
	if text, over := o.all(); !over || len(text) > maxOutput {
		t.Errorf("%d bytes, over %t", len(text), over)
	}

	chatty := newOutput(endOf("rota-M"), true)
	_, _ = chatty.Write([]byte("\nrota-M begin\n"))
	for range 3 * maxOutput / 1000 {
		_, _ = chatty.Write(bytes.Repeat(one, 1000))
	}
	for _, b := range []byte("the last line\n\nrota-M end 0\n") {
		_, _ = chatty.Write([]byte{b})
	}
	select {
	case <-chatty.seen:
	default:
		t.Error("the end wasn't seen")
	}
	out, err := answer("rota-M", chatty, newOutput("", true), nil)
	if err != nil || !bytes.HasSuffix(out, []byte("the last line\n")) || len(out) > maxOutput {
		t.Errorf("%d bytes: %v", len(out), err)
	}
}

func TestWhatHostsSayIsHarmless(t *testing.T) {
	for text, want := range map[string]string{
		"\x1b[31mred\x1b[0m \x1b]0;title\x07x": "red x",
		"a\u009b2Jb\u0085c\x08d\x7f":           "a2Jbcd",
		"safe\u202etxt.exe\u2066\u200b":        "safetxt.exe",
		"\xff ünïcode ✓ \u2028next":            "� ünïcode ✓ next",
	} {
		if got := clean(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}
