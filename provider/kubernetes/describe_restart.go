package kubernetes

import (
	"regexp"
	"slices"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// restartConfig is the part in rota.yaml of a reloader that restarts workloads.
type restartConfig struct {
	At          provider.Pos            `json:"-"`
	Connection  provider.ConnectionName `json:"connection" kind:"kubernetes" jsonschema:"The name of a kubernetes connection."`
	Namespace   provider.Plain          `json:"namespace" jsonschema:"The workloads' namespace."`
	Secret      provider.Plain          `json:"secret,omitzero" jsonschema:"The Secret that the workloads read, whoever writes it. Without workloads and selector, Rota finds every Deployment, StatefulSet and DaemonSet that reads it."`
	Workloads   []provider.Plain        `json:"workloads,omitzero" jsonschema:"The workloads to restart, such as deployment/orders."`
	Selector    provider.Plain          `json:"selector,omitzero" jsonschema:"The labels of the workloads to restart, as kubectl's --selector: app=orders."`
	Mounted     provider.Plain          `json:"mounted,omitzero" enum:"wait,restart" default:"wait" jsonschema:"What to do about workloads that read the Secret only from a volume: wait until the kubelets have put the new value there, or restart them, too."`
	Propagation provider.Duration       `json:"propagation,omitzero" default:"2m" jsonschema:"How long the kubelets need to put a new value into volumes."`
	Gather      provider.Duration       `json:"gather,omitzero" default:"10s" jsonschema:"How long to wait after the Secret was written for other Secrets of the same workloads, so that one restart serves them all."`
	External    provider.Plain          `json:"external_secret,omitzero" jsonschema:"The ExternalSecret that keeps the Secret in sync. Rota asks External Secrets to read the new version at once, by the annotation force-sync."`
	SyncedBy    provider.Plain          `json:"synced_by,omitzero" enum:"value,write" default:"value" jsonschema:"What shows that a Secret that others write has the new version: that it holds the version's values, or that it was written since the version was made."`
	Fields      []provider.Plain        `json:"fields,omitzero" default:"the passwords, keys and tokens" jsonschema:"The credential's fields that a Secret that others write must hold before it counts as in sync."`
	Timeout     provider.Duration       `json:"timeout,omitzero" default:"15m" jsonschema:"How long a reload may take."`
	NoWait      provider.Bool           `json:"no_wait,omitzero" jsonschema:"true to retire the old value although pods that began with it are still running."`
}

// labelSelector is what kubectl's --selector takes, as far as Rota passes it on.
var labelSelector = regexp.MustCompile(`^[-A-Za-z0-9_./=!, ()]+$`)

// Validate implements [provider.Validator].
func (c *restartConfig) Validate(v *provider.Validation) {
	checkName(v, "namespace", c.Namespace, goodNamespace)
	checkName(v, "secret", c.Secret, goodName)
	for _, w := range c.Workloads {
		if _, err := ParseWorkload(w.Text); err != nil {
			v.Error(w.At, "workloads", err)
		}
	}
	switch {
	case len(c.Workloads) > 0 && c.Selector.IsSet():
		v.Problem(c.Selector.At, "selector", "one of them", "workloads and selector both say what to restart")
	case len(c.Workloads) == 0 && !c.Selector.IsSet() && !c.Secret.IsSet():
		v.Problem(c.At, "", "secret: orders-db, workloads: [deployment/orders], or selector: app=orders", "nothing says what to restart")
	}
	if c.Selector.IsSet() && !labelSelector.MatchString(c.Selector.Text) {
		v.Problem(c.Selector.At, "selector", "app=orders", "not labels as kubectl's --selector takes them")
	}
	checkName(v, "external_secret", c.External, goodName)
	for key, at := range map[string]provider.Pos{"external_secret": c.External.At, "synced_by": c.SyncedBy.At} {
		if at.IsSet() && !c.Secret.IsSet() {
			v.Problem(at, key, "secret: orders-db", "it's about the Secret that the workloads read")
		}
	}
	for _, f := range c.Fields {
		switch all := v.Issuer.Fields.All; {
		case !c.Secret.IsSet() || c.SyncedBy.Text == "write":
			v.Problem(f.At, "fields", "secret: orders-db, without synced_by: write", "Rota looks for the fields in the Secret that the workloads read")
		case len(all) > 0 && !slices.Contains(all, f.Text):
			v.Problem(f.At, "fields", oneOf(slices.Clone(all)), "the credential has no field %q", f.Text)
		}
	}
	if c.Mounted.IsSet() && !c.Secret.IsSet() {
		v.Problem(c.Mounted.At, "mounted", "secret: orders-db", "only with secret does Rota see how workloads read it")
	}
	if c.Propagation.IsSet() && !c.Secret.IsSet() {
		v.Problem(c.Propagation.At, "propagation", "secret: orders-db", "only with secret does Rota see how workloads read it")
	}
}

// Reloader implements [provider.ReloaderConfig].
func (c *restartConfig) Reloader(b *provider.Build) (rota.Reloader, error) {
	r := &Restart{
		Reloader: b.Name, Connection: provider.Open[*Connection](b, c.Connection.Text), Namespace: c.Namespace.Text, Secret: c.Secret.Text,
		Labels: c.Selector.Text, RestartMounted: c.Mounted.Text == "restart", Propagation: c.Propagation.Length, Gather: c.Gather.Length, Timeout: c.Timeout.Length, NoWait: c.NoWait.Yes,
		ExternalSecret: c.External.Text, ByWrite: c.SyncedBy.Text == "write",
	}
	for _, f := range c.Fields {
		r.Fields = append(r.Fields, f.Text)
	}
	if c.Gather.IsSet() && c.Gather.Length == 0 {
		r.Gather = -1
	}
	for _, text := range c.Workloads {
		w, err := ParseWorkload(text.Text)
		b.Fail(err)
		r.Workloads = append(r.Workloads, w)
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return r, nil
}
