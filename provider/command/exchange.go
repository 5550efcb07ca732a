package command

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rota-dev/rota"
)

// maxAnswer is how long an answer can be.
const maxAnswer = 1 << 20

// program is a program that speaks the protocol.
type program struct {
	*runner
	settings map[string]string
	// public is the field of credentials that errors may show.
	public  string
	inspect func(Run)
}

// Run is what a test can see of one run of a program.
type Run struct {
	Verb Verb
	// Stderr is the end of what it wrote to its standard error.
	Stderr string
	// Credentials are those of the request and the answer.
	Credentials []rota.Credential
}

// exchange runs the program once. The error says what happened, with the end of
// what the program wrote to its standard error.
func (p *program) exchange(ctx context.Context, op string, q request) (answer, error) {
	var secrets []rota.Credential
	fail := func(class rota.Class, hint string, err error) (answer, error) {
		return answer{}, p.fail(op, class, hint, err, secrets...)
	}
	secrets = []rota.Credential{p.secret(q.Credential), p.secret(q.Current), rota.NewCredential(q.hidden)}
	if err := ctx.Err(); err != nil {
		return fail(rota.ClassWait, "", err)
	}
	path, err := p.ready(op)
	if err != nil {
		return answer{}, err
	}
	q.Protocol, q.Settings = cmp.Or(q.Protocol, Protocol), p.settings
	input, err := json.Marshal(q)
	if err != nil {
		return fail(rota.ClassStop, "", errors.New("the request can't be written as JSON"))
	}
	out, said := &limited{}, &tail{}
	o := p.execute(ctx, path, execution{input: append(input, '\n'), stdout: out, stderr: said, tidy: true})

	output, over := out.all()
	a, wrong := parse(output, q.Verb)
	if wrong == nil {
		secrets = append(secrets, p.secret(a.Credential))
	} else {
		said.hidden = words(output)
	}
	if p.inspect != nil {
		p.inspect(Run{q.Verb, said.String(), []rota.Credential{rota.NewCredential(q.Credential), rota.NewCredential(q.Current), rota.NewCredential(a.Credential)}})
	}
	exit, exited := errors.AsType[*exec.ExitError](o.err)
	switch {
	case o.ended:
		return fail(rota.ClassWait, o.hint(), fmt.Errorf("no answer after %s, so it was %s: %w%s", o.took.Round(time.Millisecond), o.verb(), o.err, said))
	case over:
		return fail(rota.ClassStop, hintProgram, fmt.Errorf("an answer of more than %d bytes%s", maxAnswer, said))
	case o.lingered:
		return fail(rota.ClassStop, "redirect the output of what the program starts in the background",
			fmt.Errorf("it ended, but left something running that held its output open%s", said))
	case exited && wrong == nil && a.Error == nil:
		return fail(rota.ClassWait, hintProgram, fmt.Errorf("it answered that it had succeeded, and ended with %w%s", exit, said))
	case exited && wrong != nil:
		return fail(rota.ClassWait, hintProgram, fmt.Errorf("%w, and %w%s", exit, wrong, said))
	case o.err != nil && !exited: // it didn't start, or its input or output broke
		return fail(rota.ClassWait, "", o.err)
	case wrong != nil:
		return fail(rota.ClassStop, hintProgram, fmt.Errorf("%w%s", wrong, said))
	case a.Error != nil:
		return answer{}, p.reported(op, a.Error, secrets)
	}
	return a, nil
}

const hintProgram = "correct the program, and test it against the protocol"

// reported is the error that a program answered.
func (p *program) reported(op string, said *problem, secrets []rota.Credential) error {
	class := classes[said.Class]
	secrets = append(secrets, p.hidden())
	// Before it's cut short: half a value isn't recognized.
	shown := func(text string) string { return shorten(rota.Sanitize(errors.New(text), secrets...).Error()) }
	err := errors.New(shown(said.Message))
	if class.sentinel != nil {
		err = fmt.Errorf("%w: %w", class.sentinel, err)
	}
	e := &rota.Error{System: p.config.Name, Op: op, Class: class.class, Err: err, RetryAfter: time.Duration(said.RetryAfter), Remedies: rota.Outside(shown(said.Hint))}
	return rota.Sanitize(e, secrets...)
}

// maxMessage is how much of a message or a hint is shown.
const maxMessage = 2 << 10

func shorten(text string) string {
	text = rota.OneLine(clean(text))
	if len(text) > maxMessage {
		text = strings.ToValidUTF8(text[:maxMessage], "") + rota.Omission
	}
	return text
}

// secret is a credential without what errors may show.
func (p *program) secret(fields map[string]string) rota.Credential {
	hidden := map[string]string{}
	for name, value := range fields {
		if name != p.public && name != rota.FieldExpiration {
			hidden["value "+name] = value // under another name, so that none counts as public
		}
	}
	return rota.NewCredential(hidden)
}

// A word of an answer, with = for encodings that are padded, and without it for
// variables.
var word = []*regexp.Regexp{regexp.MustCompile(`[^\s"',:{}\[\]\\]{6,}`), regexp.MustCompile(`[^\s"',:{}\[\]\\=;&]{6,}`)}

// words are the words of an answer that can't be read: any of them may be a value
// that the program also wrote to its standard error.
func words(output []byte) rota.Credential {
	fields := map[string]string{}
	for _, form := range word {
		for _, w := range form.FindAll(output, 1000) {
			fields[strconv.Itoa(len(fields))] = string(w)
		}
	}
	return rota.NewCredential(fields)
}

// limited keeps what is written to it, up to the longest answer.
type limited struct {
	mu   sync.Mutex
	text bytes.Buffer
	over bool
}

func (l *limited) all() (text []byte, over bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.text.Bytes()), l.over
}

func (l *limited) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.text.Len()+len(p) > maxAnswer {
		l.over = true
		return 0, errors.New("too long an answer")
	}
	return l.text.Write(p)
}
