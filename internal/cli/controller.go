package cli

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/internal/controller"
	"github.com/rota-dev/rota/internal/daemon"
)

// namespaceFile is where the kubelet says which namespace a pod is in.
const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// controllerFlags are those of rota controller.
type controllerFlags struct{ listen, kubeconfig, namespace string }

func (a *app) controllerCommand() *cobra.Command {
	var f controllerFlags
	c := &cobra.Command{
		Use:   "controller",
		Short: "Keep the secrets of a Kubernetes cluster's resources fresh, too",
		Long: `Does what rota serve does, and takes secrets and connections from a cluster's
RotatingSecrets, Connections and ClusterConnections, too. rota.yaml has the server,
the defaults and the notifications, and may have secrets of its own.

It logs in to the cluster as the service account of its pod, or with --kubeconfig.
Every replica works on what is due. The one that holds the Lease "rota" also reports
in the resources' statuses.`,
		Args: noArgs, Annotations: inPlace(placeHere),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.keepServing(c, func(ctx context.Context) error { return a.runController(ctx, f) })
		},
	}
	c.Flags().StringVar(&f.listen, "listen", "", "the `address` and port to listen on, instead of the one in rota.yaml")
	c.Flags().StringVar(&f.kubeconfig, "kubeconfig", "", "the kubeconfig `file` to log in to the cluster with, instead of the pod's service account")
	c.Flags().StringVar(&f.namespace, "namespace", "", "the `namespace` of the Lease (default the pod's own, or else rota)")
	return c
}

// runController runs the controller beside its daemon.
func (a *app) runController(ctx context.Context, f controllerFlags) error {
	login, err := controller.Login(f.kubeconfig)
	if err != nil {
		return refused(err)
	}
	inPod, _ := os.ReadFile(namespaceFile)
	host, _ := os.Hostname()
	catalog := a.ownCatalog()
	c, err := controller.New(controller.Options{
		Login:     login,
		Load:      func(r []*config.Resource) (*config.Compiled, error) { return catalog.LoadWith(a.configPath(), r) },
		Namespace: cmp.Or(f.namespace, strings.TrimSpace(string(inPod)), "rota"),
		Identity:  fmt.Sprintf("%s_%s", host, uuid.NewString()[:8]),
		Log:       a.log,
	})
	if err != nil {
		return refused(err)
	}
	if err := c.Start(ctx); err != nil {
		return fmt.Errorf("controller: %w", err)
	}
	return a.serve(ctx, daemon.Options{
		Load: c.LoadFile, Listen: f.listen, Changed: c.Changed(), Notify: c.Notifier,
		Environment: config.Environment{KubernetesSecret: c.KubernetesSecret},
	}, func(ctx context.Context, d *daemon.Daemon) error { return c.Run(ctx, d) })
}
