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
	"github.com/rota-dev/rota/internal/service"
)

// The codes that rota exits with, as told by rota help exit-codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	exitHeld   = 3
	exitBusy   = 4
)

const exitCodesHelp = `rota exits with one of these codes:

  0  done, or nothing to do
  1  something failed; the other secrets went on all the same. Of check and
     alert: something is wrong, or late
  2  a usage or configuration error, or a question answered with no or with
     Ctrl-C, or something that the caller may not do: nothing was done
  3  held: something is due, or was asked for, but may not be done; the reason
     is in the output
  4  another worker is at the secret

Where several would fit, 1 goes before 4, and 4 before 3.`

func exitCodesTopic() *cobra.Command {
	return &cobra.Command{Use: "exit-codes", Short: "The codes that rota exits with", Long: exitCodesHelp}
}

// exitError is an error with the code to exit with. Without err, the output
// has told it all.
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

// usage is an error of the caller's: nothing was done.
func usage(format string, args ...any) error {
	return &exitError{code: exitUsage, err: fmt.Errorf(format, args...)}
}

// refused is usage for an error at hand.
func refused(err error) error {
	if err == nil {
		return nil
	}
	return &exitError{code: exitUsage, err: err}
}

// silently exits with a code when the output has told why.
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

// exit tells an error on stderr and gives the code.
func (a *app) exit(err error) int {
	code := codeOf(err)
	if e, ok := errors.AsType[*exitError](err); err == nil || (ok && e.err == nil) {
		return code
	}
	if a.json() {
		doc := errorDoc{Code: code}
		doc.Error, doc.Hint = service.SplitHint(err.Error())
		if problems, ok := errors.AsType[config.Errors](err); ok {
			doc.Problems = problemDocs(problems)
		}
		text, _ := json.Marshal(doc) // texts and numbers: it can't fail
		fmt.Fprintln(a.Stderr, string(text))
		return code
	}
	fmt.Fprintln(a.Stderr, a.paint(a.errStyle, red, "rota:")+" "+err.Error())
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
