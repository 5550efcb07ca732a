package cli

import (
	"context"
	"encoding/json"
	"time"

	"github.com/spf13/cobra"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/internal/agent"
)

func (a *app) credentialProcessCommand() *cobra.Command {
	var cache, cacheKey string
	var wait, lifetime time.Duration
	c := &cobra.Command{
		Use:   "credential-process NAME",
		Short: "Print an AWS access key for AWS SDKs and the AWS CLI",
		Long: `Prints a secret's current access key the way AWS SDKs and the AWS CLI ask a
program for it. In ~/.aws/config:

  [profile orders]
  credential_process = rota credential-process prod/orders-aws --server https://rota.example.com --token-file /home/ann/.config/rota/token

They ask again when the lifetime is over. Keep it shorter than the grace period of
the key's rotation.`,
		Args: argCount(1, 1), Annotations: inPlace(placeServer),
		RunE: func(c *cobra.Command, args []string) error {
			if (cache == "") != (cacheKey == "") {
				return rota.WithRemedies(usage("a cache needs both its folder and its key"), rota.Command("--cache FOLDER --cache-key FILE"))
			}
			if lifetime < time.Minute {
				return rota.WithRemedies(usage("--lifetime %v is shorter than a minute", lifetime), rota.Command("--lifetime 30m"))
			}
			return a.credentialProcess(c.Context(), args[0], lifetime, client.Options{FirstWait: wait}, cache, cacheKey)
		},
	}
	f := c.Flags()
	f.DurationVar(&lifetime, "lifetime", agent.DefaultLifetime, "when the key has to be asked for again")
	f.DurationVar(&wait, "wait", 10*time.Second, "how long to wait while the server is away")
	f.StringVar(&cache, "cache", "", "the `folder` of an encrypted cache, for when the server is away")
	f.StringVar(&cacheKey, "cache-key", "", "the `file` with the cache's key: at least 16 random bytes")
	return c
}

func (a *app) credentialProcess(ctx context.Context, name string, lifetime time.Duration, o client.Options, cache, cacheKey string) error {
	c, err := a.openClient(ctx, o, cache, cacheKey)
	if err != nil {
		return err
	}
	defer c.Close()
	v, err := c.Secret(name).Get(ctx)
	if err != nil {
		return err
	}
	doc, err := agent.NewProcessCredentials(v, a.Now(), lifetime)
	if err != nil {
		return rota.WithRemedies(refused(err), rota.Outside("name a secret that is an AWS access key"))
	}
	return json.NewEncoder(a.Stdout).Encode(doc)
}
