package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// confirm asks a person before something that can't simply be undone. Without
// a terminal to ask on, only --yes will do.
func (a *app) confirm(explanation, question string) error {
	if a.yes {
		return nil
	}
	if !a.asks() {
		return usage("%s: nobody here to ask (try: --yes)", question)
	}
	fmt.Fprint(a.Stderr, explanation)
	fmt.Fprintf(a.Stderr, "%s [y/N] ", question)
	answer, err := readLine(a.Stdin)
	if err != nil && !errors.Is(err, io.EOF) {
		return refused(err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return usage("not confirmed: nothing was done")
}

// asks tells whether there is a person at a terminal.
func (a *app) asks() bool {
	f, ok := a.Stdin.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// prompt asks for a value, without showing it where it is a secret.
func (a *app) prompt(name string, secret bool) (string, error) {
	fmt.Fprintf(a.Stderr, "%s: ", name)
	if !secret {
		line, err := readLine(a.Stdin)
		return strings.TrimRight(line, "\r\n"), err
	}
	value, err := term.ReadPassword(int(a.Stdin.(*os.File).Fd()))
	fmt.Fprintln(a.Stderr)
	return string(value), err
}

// readLine reads one line and not a byte more: the next prompt reads on.
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
