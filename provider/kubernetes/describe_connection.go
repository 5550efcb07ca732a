package kubernetes

import (
	"github.com/rota-dev/rota/provider"
)

// connectionConfig is a cluster and the login.
type connectionConfig struct {
	At         provider.Pos      `json:"-"`
	Kubeconfig provider.Text     `json:"kubeconfig,omitzero" jsonschema:"The path of a kubeconfig file. Its exec plugins run as with kubectl, but can't ask for anything. KUBECONFIG and ~/.kube/config aren't read."`
	Context    provider.Plain    `json:"context,omitzero" default:"the kubeconfig's current context" jsonschema:"A context of the kubeconfig."`
	InCluster  provider.Bool     `json:"in_cluster,omitzero" jsonschema:"true to log in as the service account of the pod that Rota runs in."`
	Timeout    provider.Duration `json:"timeout,omitzero" default:"30s" jsonschema:"The timeout for each request."`
}

// Validate implements [provider.Validator].
func (c *connectionConfig) Validate(v *provider.Validation) {
	if c.Kubeconfig.IsSet() == c.InCluster.Yes {
		v.Problem(c.At, "", "kubeconfig: /etc/rota/kubeconfig, or in_cluster: true", "one login is needed")
	}
	if c.Context.IsSet() && c.InCluster.Yes {
		v.Problem(c.Context.At, "context", "", "only a kubeconfig has contexts")
	}
	if c.Timeout.IsSet() && c.Timeout.Length <= 0 {
		v.Problem(c.Timeout.At, "timeout", "30s", "no request is answered in no time")
	}
}

// Open implements [provider.ConnectionConfig].
func (c *connectionConfig) Open(b *provider.Build) (any, error) {
	cfg := Config{Kubeconfig: b.Text(c.Kubeconfig), Context: c.Context.Text, InCluster: c.InCluster.Yes, Timeout: c.Timeout.Length, Budget: b.Budget()}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return New(b.Name, cfg)
}

// Scope implements [provider.Scoper]: the same context of the same file is the same
// cluster. Whether others are, the clusters say themselves.
func (c *connectionConfig) Scope(k *provider.Known) string {
	if c.InCluster.Yes {
		return "kubernetes\x00in-cluster"
	}
	text, known := k.Text(c.Kubeconfig)
	if !known || text == "" {
		return ""
	}
	return "kubernetes\x00" + text + "\x00" + c.Context.Text
}
