//go:build lambda

package app

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // windows have time zones; Lambda's image may have none

	"github.com/rota-dev/rota/internal/function"
)

// Main is the Lambda function alone, without the command line, the server and
// the daemon: half the size, and half the memory.
func Main(o Options) {
	if !function.InLambda() {
		fmt.Fprintln(os.Stderr, "rota: this program was built for AWS Lambda, and runs nowhere else; make build builds one for this machine")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	function.Start(ctx, o.Providers, os.Stdout, os.Stderr)
}
