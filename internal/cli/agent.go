package cli

import (
	"cmp"
	"context"
	"errors"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"github.com/rota-dev/rota/internal/agent"
)

// agentFlags are the flags of rota agent.
type agentFlags struct {
	path        string
	check, once bool
	timeout     time.Duration
}

func (a *app) agentCommand() *cobra.Command {
	var x agentFlags
	c := &cobra.Command{
		Use:   "agent",
		Short: "Keep files and AWS SDKs of this machine up to date",
		Long: `Writes secrets of a running Rota into files of this machine, runs a command when
they have changed, and gives AWS SDKs their access keys. What it does is in
agent.yaml; rota schema --agent prints its JSON Schema.

SIGHUP reads agent.yaml again. Under systemd, the agent says when every file is
there. With --once, it exits then: for an init container, or before a job.`,
		Args: noArgs, Annotations: inPlace(placeNowhere),
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case x.check:
				return a.checkAgent(c.Context(), x)
			case x.once:
				return a.traced(c.Context(), "", func(ctx context.Context) error { return a.agentOnce(ctx, x) })
			}
			return a.keepServing(c, func(ctx context.Context) error { return a.runAgent(ctx, x) })
		},
	}
	f := c.Flags()
	f.StringVar(&x.path, "agent-config", "", "the agent's configuration `file` (default $ROTA_AGENT_CONFIG, or agent.yaml here)")
	f.BoolVar(&x.check, "check", false, "check the file, and whether everything could be written; asks no server")
	f.BoolVar(&x.once, "once", false, "write everything once, run the commands, and exit")
	f.DurationVar(&x.timeout, "timeout", 2*time.Minute, "how long --once may take")
	return c
}

// loadAgent reads the configuration.
func (a *app) loadAgent(x agentFlags) (*agent.Agent, error) {
	path := cmp.Or(x.path, a.environment["ROTA_AGENT_CONFIG"], "agent.yaml")
	c, err := a.catalog.LoadAgent(path)
	if err != nil {
		return nil, refused(err)
	}
	made, err := agent.New(agent.Options{Config: c, Path: path, LookupEnv: a.lookupEnv, Env: a.Env, UserAgent: "rota-agent/" + Version, Log: a.log})
	return made, refused(err)
}

func (a *app) checkAgent(ctx context.Context, x agentFlags) error {
	made, err := a.loadAgent(x)
	if err != nil {
		return err
	}
	code := exitDone
	for _, f := range made.Check(ctx) {
		mark := "ok"
		if !f.OK {
			mark, code = "failed", exitFailed
		}
		a.printf("%s  %s  %s", mark, f.Check, f.Detail)
	}
	return silently(code)
}

func (a *app) agentOnce(ctx context.Context, x agentFlags) error {
	made, err := a.loadAgent(x)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, x.timeout)
	defer cancel()
	return made.Run(ctx, true, nil)
}

// runAgent runs an agent until ctx ends, and another one for each reading of its
// configuration.
func (a *app) runAgent(ctx context.Context, x agentFlags) error {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	defer a.tellSystemd(daemon.SdNotifyStopping)
	made, err := a.loadAgent(x)
	if err != nil {
		return err
	}
	a.watchdog(ctx)
	for {
		round, cancel := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() {
			ended <- made.Run(round, false, func(aws net.Addr) {
				a.tellSystemd(daemon.SdNotifyReady)
				if aws != nil {
					a.log.InfoContext(ctx, "answering AWS SDKs", "address", aws.String())
				}
				a.log.InfoContext(ctx, "everything is in place", "secrets", len(made.Secrets()))
			})
		}()
		next, err := a.nextAgent(ctx, x, hangup, ended)
		cancel()
		if next == nil {
			return errors.Join(err, ignoreEnd(<-ended))
		}
		if err := <-ended; err != nil {
			return err
		}
		made = next
	}
}

func ignoreEnd(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// nextAgent waits for a configuration that can take the place of the present one.
// It returns nil at the end.
func (a *app) nextAgent(ctx context.Context, x agentFlags, hangup <-chan os.Signal, ended chan error) (*agent.Agent, error) {
	for {
		select {
		case <-ctx.Done():
			return nil, nil
		case err := <-ended:
			ended <- nil // it's taken once more
			return nil, err
		case <-hangup:
			a.tellSystemd(reloading())
			next, err := a.loadAgent(x)
			if err != nil {
				a.log.ErrorContext(ctx, "the new configuration can't be used; the one before stays", "error", err)
				a.tellSystemd(daemon.SdNotifyReady)
				continue
			}
			a.log.InfoContext(ctx, "the configuration was read again")
			return next, nil
		}
	}
}
