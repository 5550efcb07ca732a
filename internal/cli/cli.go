package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/internal/providers"
	"github.com/rota-dev/rota/provider"
)

// Program is what the command line needs from its environment.
type Program struct {
	// Env is the environment, as "NAME=value".
	Env            []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Providers are what rota.yaml can name. Defaults to [providers.List].
	Providers []provider.Provider
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
}

// Run runs one command line, without the program's name, and returns the exit
// code. Any error has been printed on stderr by then.
func Run(ctx context.Context, args, env []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return Program{Env: env, Stdin: stdin, Stdout: stdout, Stderr: stderr}.Run(ctx, args)
}

// Run is [Run] for a program with its own clock.
func (p Program) Run(ctx context.Context, args []string) int {
	if p.Now == nil {
		p.Now = time.Now
	}
	if p.Providers == nil {
		p.Providers = providers.List()
	}
	catalog, err := config.NewCatalog(p.Providers...)
	if err != nil {
		_, _ = fmt.Fprintf(p.Stderr, "rota: %v\n", err) // a mistake of who built the program
		return exitFailed
	}
	a := newApp(p)
	a.catalog = catalog
	root := a.rootCommand()
	root.SetArgs(args)
	root.SetIn(p.Stdin)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	err = root.ExecuteContext(ctx)
	code := a.exit(err)
	if ctx.Err() != nil && code != exitDone && code < exitOfChild && !errors.Is(err, errInterrupted) {
		told := "in-flight work is recorded, and the next rota run resumes it"
		if a.serverURL() != "" {
			told = "the server carries on with in-flight work"
		}
		a.note("rota: interrupted; %s", told)
	}
	return code
}
