//go:build !lambda

// The command rota rotates credentials end to end.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // windows have time zones; a small container may have none

	"github.com/rota-dev/rota/internal/cli"
	"github.com/rota-dev/rota/internal/function"
)

func main() { os.Exit(run()) }

// run ends what is in hand at the first signal; the second ends the program.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if function.InLambda() {
		function.Start(ctx, os.Stdout, os.Stderr)
		return 0
	}
	context.AfterFunc(ctx, stop)
	return cli.Run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr)
}
