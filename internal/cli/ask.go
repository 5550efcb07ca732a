package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/rota-dev/rota"
)

// confirm asks a person before something that can't simply be undone. Without
// a terminal, it requires --yes.
func (a *app) confirm(ctx context.Context, explanation, question string) error {
	if a.yes {
		return nil
	}
	if !a.asks() {
		return rota.WithRemedies(usage("there's no terminal to ask on: %q", question), rota.Command("--yes"))
	}
	fmt.Fprint(a.Stderr, escapeLines(explanation))
	fmt.Fprintf(a.Stderr, "%s [y/N] ", question)
	answer, err := untilInterrupted(ctx, func() (string, error) { return readLine(a.Stdin) })
	if err != nil && !errors.Is(err, io.EOF) {
		fmt.Fprintln(a.Stderr) // ends the line of the question
		return refused(err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return usage("not confirmed: nothing was done")
}

// asks reports whether there's a person at a terminal.
func (a *app) asks() bool {
	f, ok := a.Stdin.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// prompt asks for a value, without echoing it if it's a secret.
func (a *app) prompt(ctx context.Context, name string, secret bool) (string, error) {
	fmt.Fprintf(a.Stderr, "%s: ", name)
	if !secret {
		line, err := untilInterrupted(ctx, func() (string, error) { return readLine(a.Stdin) })
		return strings.TrimRight(line, "\r\n"), err
	}
	fd := int(a.Stdin.(*os.File).Fd())
	shown, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	value, err := untilInterrupted(ctx, func() ([]byte, error) { return term.ReadPassword(fd) })
	if errors.Is(err, errInterrupted) {
		err = errors.Join(err, term.Restore(fd, shown)) // the pending read would leave echo off
	}
	fmt.Fprintln(a.Stderr)
	return string(value), err
}

// errInterrupted ends a command before it has started anything.
var errInterrupted = errors.New("interrupted: nothing was done")

// untilInterrupted reads input that a person or a pipe may never send, and
// gives up as soon as ctx ends. The read itself can't be canceled and ends
// with the process.
func untilInterrupted[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	came := make(chan answer, 1)
	go func() {
		value, err := read()
		came <- answer{value, err}
	}()
	select {
	case a := <-came:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, errInterrupted
	}
}

// readLine reads one line and not a byte more: the next prompt reads the rest.
func readLine(r io.Reader) (string, error) {
	var line []byte
	one := make([]byte, 1)
	for {
		n, err := r.Read(one)
		if n > 0 {
			line = append(line, one[0])
		}
		if err != nil || (n > 0 && one[0] == '\n') {
			return string(line), err
		}
	}
}
