package vault

import (
	"path"
	"strings"

	"github.com/rota-dev/rota/provider"
)

// kindVault is the key of this package's connections in rota.yaml.
const kindVault = "vault"

// Provider describes what rota.yaml can name of Vault and OpenBao.
func Provider() provider.Provider {
	return provider.Provider{
		Name:    "vault",
		System:  "Vault and OpenBao",
		Example: example,
		Connections: []provider.Connection{{
			Kind: provider.Kind{
				Key: kindVault, Summary: "HashiCorp Vault or OpenBao, and how Rota logs in to it.",
				Example: `{address: https://vault.internal:8200, token: "${file:/run/secrets/vault}"}`,
			},
			New:    func() provider.ConnectionConfig { return new(connectionConfig) },
			Policy: policy,
		}},
		Issuers: issuers(),
		Stores: []provider.Store{{
			Kind: provider.Kind{
				Key: "vault_kv", Summary: "Two entries of a KV v2 engine in Vault or OpenBao: the current credential, and all versions (connection: vault).",
				Example: "{mount: secret, path: apps/orders}",
			},
			Connection: kindVault,
			New:        func() provider.StoreConfig { return new(storeConfig) },
		}},
		Targets: []provider.Target{{
			Kind: provider.Kind{
				Key: "vault_kv", Summary: "An entry of a KV engine in Vault or OpenBao.",
				Example: "{connection: vault, mount: secret, path: apps/orders}",
			},
			New: func() provider.TargetConfig { return new(kvConfig) },
		}},
	}
}

// goodPath reports whether a text is a path as Vault has it: nothing in it may lead
// somewhere else.
func goodPath(text string) bool {
	return text != "" && path.Clean("/"+text) == "/"+text && !strings.ContainsAny(text, "\x00?#*+") && strings.TrimSpace(text) == text
}

// checkPath reports a text that can't be a path.
func checkPath(v *provider.Validation, at provider.Pos, key, text, hint string) {
	if text != "" && !goodPath(text) {
		v.Problem(at, key, hint, "not a path in Vault")
	}
}

// checkText is checkPath for a text that may hold references.
func checkText(v *provider.Validation, key string, t provider.Text, hint string) {
	if text, plain := t.Literal(); plain && t.IsSet() {
		checkPath(v, t.At, key, text, hint)
	}
}

// claim is the claim on something at a path below a mount. Vault takes a namespace
// in a header or as the beginning of the path: it's the same place.
func claim(k *provider.Known, kind, connection, mount string, name provider.Text) []provider.Claim {
	c, ok := k.Claim(kind, name)
	if !ok {
		return nil
	}
	namespace := ""
	if cfg, ok := k.Config(connection).(*connectionConfig); ok {
		text, known := k.Text(cfg.Namespace)
		if !known {
			return nil
		}
		namespace = text
	}
	c.Connection = connection
	c.Name = strings.Trim(path.Join(namespace, mount, c.Name), "/")
	return []provider.Claim{c}
}

// or is a text, or what applies if the file doesn't give it.
func or(p provider.Plain, otherwise string) string {
	if p.Text == "" {
		return otherwise
	}
	return p.Text
}

// example is a rota.yaml for rota providers and the docs.
const example = `connections:
  vault:
    vault:
      address: https://vault.internal:8200
      app_role: {role_id: "${file:/run/secrets/vault-role-id}", secret_id: "${file:/run/secrets/vault-secret-id}"}
secrets:
  - name: prod/orders-login
    issuer: {connection: vault, vault_secret_id: {role: orders, ttl: 30d, num_uses: 1000000}}
    targets:
      - name: login
        file: {path: /etc/orders/vault.json, format: json, fields: {role_id: role_id, secret_id: secret_id}}
    policy: {rotate_every: 14d, delete_previous_after: 7d}
  - name: prod/orders-db
    issuer: {connection: vault, vault_static_role: {role: orders}}
    store: {connection: vault, vault_kv: {mount: secret, path: apps/orders-db}}
    targets:
      - name: database
        file: {path: /etc/orders/database.json, format: json, fields: {user: username, password: password}}
    policy: {rotate_every: 30d}
  - name: prod/reports-db
    issuer: {connection: vault, vault_lease: {role: reports, ttl: 24h}}
    targets:
      - name: database
        file: {path: /etc/reports/database.json, format: json, fields: {user: username, password: password}}
  - name: prod/orders-cookies
    issuer: {secret_key: {bytes: 32}}
    targets:
      - name: vault
        vault_kv:
          connection: vault
          mount: secret
          path: apps/orders
          fields: {cookie_key: key, cookie_key_previous: previous_key, cookie_key_next: next_key}
    policy: {rotate_every: 90d}
`
