package ssh

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/rota-dev/rota"
)

// A script runs in a POSIX shell on a host. Whatever the user's login shell is, it
// only sees one constant line without a value in it: the script itself goes to
// standard input, followed by the input.
type script struct {
	op    string // what it does, for its first line
	as    string // the user to run it as, through sudo; "" for the login's
	vars  []variable
	text  string
	input []byte
	// lifeline leaves standard input open until the script ends: that it ends tells
	// the script that nobody waits for it any more.
	lifeline bool
	// chatty scripts may print any amount, of which the middle is dropped.
	chatty bool
}

type variable struct{ name, value string }

// maxOutput is more than any script prints.
const maxOutput = 4 << 20

// quote makes a text one word of a POSIX shell.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// command is what the login shell gets: sh, bash, zsh, csh and fish read it alike.
func command(as string, length int) string {
	line := fmt.Sprintf(`sh -c 'eval "$(dd bs=1 count=%d 2>/dev/null)"'`, length)
	if as != "" {
		line = "sudo -n -u " + as + " -- " + line
	}
	return line
}

// write is the script with its variables. What a login shell's own files print
// comes before the first mark.
func (s script) write(mark string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# rota: %s\nLC_ALL=C; export LC_ALL; umask 077\nprintf '\\n%s begin\\n'\n(\n", s.op, mark)
	for _, v := range s.vars {
		fmt.Fprintf(&b, "%s=%s\n", v.name, quote(v.value))
	}
	fmt.Fprintf(&b, "%s\n)\nprintf '\\n%s end %%s\\n' \"$?\"\n", s.text, mark)
	return b.String()
}

// exitError is a script that ended with another status than 0.
type exitError struct {
	status int
	said   string // on standard error
}

func (e *exitError) Error() string {
	if e.said == "" {
		return fmt.Sprintf("exit status %d", e.status)
	}
	return e.said
}

// otherError is a host that ran something else than the script, or nothing.
type otherError struct{ said string }

func (e *otherError) Error() string {
	if e.said == "" {
		return "the host didn't run Rota's script"
	}
	return "the host didn't run Rota's script, but said: " + e.said
}

// errCutOff: the answer has no end.
var errCutOff = errors.New("the connection broke before the host had answered")

// errOutput: a script printed too much.
var errOutput = errors.New("the host printed too much")

// run runs a script and returns what it printed.
func (n *node) run(ctx context.Context, s script) (out []byte, err error) {
	l, session, err := n.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { l.release(ctx.Err() != nil) }()
	mark := "rota-" + rand.Text()
	text := s.write(mark)
	stdout, stderr := newOutput(endOf(mark), s.chatty), newOutput("", true)
	session.Stdout, session.Stderr = stdout, stderr
	stdin, err := session.StdinPipe()
	if err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() {
		defer l.slots.give()
		defer func() { _ = session.Close() }()
		ended <- session.Run(command(s.as, len(text)))
	}()
	go func() { // it fails if the session ends first
		_, err := io.Copy(stdin, io.MultiReader(strings.NewReader(text), bytes.NewReader(s.input)))
		if err == nil && !s.lifeline {
			_ = stdin.Close()
		}
	}()
	abandon := func() { // without waiting: the host may not take it any more
		go func() {
			_ = session.Signal(ssh.SIGTERM)
			_ = session.Close()
		}()
	}
	select {
	case <-ctx.Done():
		abandon()
		return nil, ctx.Err()
	case err = <-ended:
	case <-stdout.seen:
		// What the script started may keep its output open. Its errors may still be
		// on the way.
		timer := time.NewTimer(stragglers)
		defer timer.Stop()
		select {
		case err = <-ended:
		case <-timer.C:
			abandon()
		}
	}
	return answer(mark, stdout, stderr, err)
}

// stragglers is how long the rest of a script's output is waited for.
const stragglers = 500 * time.Millisecond

// endOf is how the mark at the end begins.
func endOf(mark string) string { return "\n" + mark + " end " }

// answer finds what the script printed between its marks.
func answer(mark string, stdout, stderr *output, err error) ([]byte, error) {
	out, over := stdout.all()
	said, _ := stderr.all()
	if over {
		return nil, errOutput
	}
	_, after, begun := bytes.Cut(out, []byte("\n"+mark+" begin\n"))
	end := bytes.LastIndex(after, []byte(endOf(mark)))
	missing, cut := errors.AsType[*ssh.ExitMissingError](err)
	switch {
	case end >= 0:
	case cut && missing != nil, begun, err != nil && !isExit(err):
		return nil, errCutOff
	default:
		return nil, &otherError{said: ending(string(said) + "\n" + string(out))}
	}
	code, _, _ := strings.Cut(string(after[end+len(endOf(mark)):]), "\n")
	status, convErr := strconv.Atoi(code)
	if convErr != nil {
		return nil, errCutOff
	}
	out = after[:end]
	if status != 0 {
		return out, &exitError{status: status, said: lastLines(string(said))}
	}
	return out, nil
}

func isExit(err error) bool {
	_, ok := errors.AsType[*ssh.ExitError](err)
	return ok
}

// output keeps what a script prints.
type output struct {
	mu    sync.Mutex
	text  bytes.Buffer
	over  bool
	lossy bool          // the middle of too long an output is dropped
	wait  string        // what to look for; "" for nothing
	seen  chan struct{} // closed once it was printed, with the rest of its line
}

func newOutput(wait string, lossy bool) *output {
	return &output{wait: wait, lossy: lossy, seen: make(chan struct{})}
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.text.Len()+len(p) > maxOutput && o.lossy {
		o.shorten()
	}
	if o.text.Len()+len(p) > maxOutput {
		o.over = true
		return len(p), nil // and it goes on: the script may be doing something
	}
	looked := o.text.Len() // a host that sends single bytes must not have all of it looked through each time
	o.text.Write(p)
	if o.wait == "" {
		return len(p), nil
	}
	// It's at the very end, give or take what a login shell says.
	const rest = len("255\n")
	recent := o.text.Bytes()[max(0, looked-len(o.wait)-rest):]
	if at := bytes.LastIndex(recent, []byte(o.wait)); at >= 0 && bytes.IndexByte(recent[at+len(o.wait):], '\n') >= 0 {
		o.wait = ""
		close(o.seen)
	}
	return len(p), nil
}

// shorten keeps both ends of an output.
func (o *output) shorten() {
	const each = 64 << 10
	text := o.text.Bytes()
	if len(text) <= 2*each {
		return
	}
	kept := append(bytes.Clone(text[:each]), text[len(text)-each:]...)
	o.text.Reset()
	o.text.Write(kept)
}

func (o *output) all() (text []byte, over bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Clone(o.text.Bytes()), o.over
}

// kept is how much of a command's output an error has. It's more than anyone wants to
// read, because whoever shows the error first removes the credential's values and then
// shortens it: half a value, such as the last lines of one that's shown in several,
// wouldn't be recognized.
const kept = 16 << 10

// ending is the end of an output. It keeps its lines, by which a value is recognized
// that stands in several.
func ending(text string) string {
	if len(text) <= kept {
		return strings.TrimSpace(clean(text))
	}
	text = text[len(text)-kept:]
	if _, whole, cut := strings.Cut(text, "\n"); cut {
		text = whole // half a line may contain half a value
	}
	return rota.Omission + strings.TrimSpace(clean(text))
}

// lastLines is the end of an output, for an error: a few lines, in one.
func lastLines(text string) string {
	const most = 5
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(clean(line)); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-most):], "; ")
}
