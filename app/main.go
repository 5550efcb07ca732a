//go:build !lambda

package app

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // windows have time zones; a small container may have none

	"github.com/rota-dev/rota/internal/cli"
	"github.com/rota-dev/rota/internal/function"
)

// Main is the whole program: it runs the command line, or takes events if it is
// a Lambda function, and exits. The first SIGINT or SIGTERM lets in-flight work
// finish; the second ends the program.
func Main(o Options) { os.Exit(run(o)) }

func run(o Options) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if function.InLambda() {
		function.Start(ctx, o.Providers, os.Stdout, os.Stderr)
		return 0
	}
	context.AfterFunc(ctx, stop)
	return Run(ctx, o, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr)
}

// Run carries out one command line, without the program's name, and returns the
// code to exit with. env has "NAME=value" pairs. Errors are on stderr by then.
// It is for tests.
func Run(ctx context.Context, o Options, args, env []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return cli.Program{Env: env, Stdin: stdin, Stdout: stdout, Stderr: stderr, Providers: o.Providers}.Run(ctx, args)
}
