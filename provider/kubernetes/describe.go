package kubernetes

import (
	"github.com/rota-dev/rota/provider"
)

// kindKubernetes is the key of this package's connections in rota.yaml.
const kindKubernetes = "kubernetes"

// Provider describes what rota.yaml can name of Kubernetes.
func Provider() provider.Provider {
	return provider.Provider{
		Name:        "kubernetes",
		System:      "Kubernetes",
		Example:     example,
		Conversions: []func() provider.Conversion{externalSecretConversion},
		Connections: []provider.Connection{{
			Kind: provider.Kind{
				Key: kindKubernetes, Summary: "A Kubernetes cluster, and how Rota logs in to it.",
				Example: `{kubeconfig: /etc/rota/kubeconfig, context: prod}`,
			},
			New:    func() provider.ConnectionConfig { return new(connectionConfig) },
			Policy: policy, NamespaceKey: "namespace",
		}},
		Issuers: []provider.Issuer{tokenIssuer()},
		Targets: []provider.Target{{
			Kind: provider.Kind{
				Key: "kubernetes_secret", Summary: "A Secret of a Kubernetes namespace.",
				Example: "{connection: prod, namespace: shop, secret: orders-db}",
			},
			Platform: provider.PlatformPods,
			New:      func() provider.TargetConfig { return new(secretConfig) },
		}},
		Reloaders: []provider.Reloader{{
			Kind: provider.Kind{
				Key: "kubernetes_restart", Summary: "A rolling restart of the workloads in a Kubernetes namespace that read a Secret.",
				Example: "{connection: prod, namespace: shop, secret: orders-db}",
			},
			New: func() provider.ReloaderConfig { return new(restartConfig) },
		}},
	}
}

// example is a rota.yaml for rota providers and the docs.
const example = `connections:
  orders-db:
    postgres: {host: db.internal, database: orders, username: rota_admin, password: "${file:/run/secrets/orders-db-admin}"}
  prod-aws: {aws: {region: eu-central-1}}
  prod: {kubernetes: {kubeconfig: /etc/rota/kubeconfig, context: prod}}
  here: {kubernetes: {in_cluster: true}}
secrets:
  - name: prod/orders-db
    issuer: {connection: orders-db, alternating: {roles: [orders_a, orders_b], group: orders}}
    targets:
      - name: shop
        kubernetes_secret:
          connection: prod
          namespace: shop
          secret: orders-db
          fields:
            username: username
            password: password
            url: "postgres://{username}:{password|url}@db.internal/orders"
      - name: reports
        kubernetes_secret: {connection: here, namespace: reports, secret: orders-db, type: kubernetes.io/basic-auth}
    reload:
      - {name: shop, kubernetes_restart: {connection: prod, namespace: shop, secret: orders-db}}
      - {name: reports, kubernetes_restart: {connection: here, namespace: reports, workloads: [statefulset/reporter]}}
    policy: {rotate_every: 30d, deactivate_previous_after: 1d, delete_previous_after: 7d}
  - name: prod/shop-s3
    issuer: {connection: prod-aws, iam_access_key: {user: shop}}
    targets:
      - {name: shop, kubernetes_secret: {connection: prod, namespace: shop, secret: shop-s3}}
    reload:
      - {name: shop, kubernetes_restart: {connection: prod, namespace: shop, secret: shop-s3}}
    policy: {rotate_every: 90d, deactivate_previous_after: 7d, delete_previous_after: 14d}
  - name: prod/deployer
    issuer: {connection: prod, kubernetes_service_account_token: {namespace: shop, service_account: deployer}}
    policy: {rotate_every: 20d, delete_previous_after: 5d}
`
