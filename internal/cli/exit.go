package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/api"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/internal/service"
)

// The exit codes, as documented by rota help exit-codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	exitHeld   = 3
	exitBusy   = 4
)

const exitCodesHelp = `rota exits with one of these codes:

  0  done, or nothing to do
  1  something failed; the other secrets were processed regardless. For check
     and alert: something is wrong, or overdue
  2  a usage or configuration error, a question answered with no or Ctrl-C, or
     something the caller isn't allowed to do: nothing was done
  3  held: something is due, or was requested, but must not be done, or not yet,
     such as what an earlier process began and didn't finish; the reason is in the
     output
  4  another worker holds the secret

If several apply, 1 takes precedence over 4, and 4 over 3.`

func exitCodesTopic() *cobra.Command {
	return &cobra.Command{Use: "exit-codes", Short: "The exit codes of rota", Long: exitCodesHelp}
}

// exitError is an error with an exit code. If err is nil, the output has
// already said everything.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usage is the caller's error: nothing was done.
func usage(format string, args ...any) error {
	return &exitError{code: exitUsage, err: fmt.Errorf(format, args...)}
}

// refused is usage for an existing error.
func refused(err error) error {
	if err == nil {
		return nil
	}
	return &exitError{code: exitUsage, err: err}
}

// silently exits with a code when the output has already said why.
func silently(code int) error {
	if code == exitDone {
		return nil
	}
	return &exitError{code: code}
}

func codeOf(err error) int {
	if err == nil {
		return exitDone
	}
	if e, ok := errors.AsType[*exitError](err); ok {
		return e.code
	}
	if _, ok := errors.AsType[*service.UsageError](err); ok || errors.Is(err, access.ErrDenied) ||
		errors.Is(err, api.ErrUsage) || errors.Is(err, api.ErrDenied) || errors.Is(err, api.ErrUnauthenticated) {
		return exitUsage
	}
	if errors.Is(err, rota.ErrBusy) || errors.Is(err, rota.ErrFenced) {
		return exitBusy
	}
	return exitFailed
}

// exit prints an error on stderr and returns the code.
func (a *app) exit(err error) int {
	code := codeOf(err)
	if e, ok := errors.AsType[*exitError](err); err == nil || (ok && e.err == nil) {
		return code
	}
	if a.json() {
		doc := errorDoc{Code: code}
		doc.Error, doc.Hint, doc.Remedies = service.Describe(err)
		if problems, ok := errors.AsType[config.Errors](err); ok {
			doc.Problems = problemDocs(problems)
		}
		text, _ := json.Marshal(doc) // strings and numbers: it can't fail
		fmt.Fprintln(a.Stderr, string(text))
		return code
	}
	a.note("%s %s", a.paint(a.errStyle, red, "rota:"), painted(hint.TextBy(err, escape)))
	return code
}

// worst is the code for several secrets: failed before busy before held.
func worst(codes ...int) int {
	rank := map[int]int{exitFailed: 3, exitBusy: 2, exitHeld: 1}
	out := exitDone
	for _, c := range codes {
		if cmp.Less(rank[out], rank[c]) {
			out = c
		}
	}
	return out
}
