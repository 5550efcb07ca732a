package elasticsearch

import (
	"encoding/json"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/provider/httpapi"
)

// The keys of the connections in rota.yaml.
const (
	kindElasticsearch = "elasticsearch"
	kindOpenSearch    = "opensearch"
)

// Provider describes what rota.yaml can name of Elasticsearch and OpenSearch.
func Provider() provider.Provider {
	return provider.Provider{
		Name:    "elasticsearch",
		System:  "Elasticsearch and OpenSearch",
		Example: example,
		Connections: []provider.Connection{{
			Kind: provider.Kind{
				Key: kindElasticsearch, Remote: true, Summary: "An Elasticsearch cluster, and a user that may have API keys.",
				Example: `{url: https://search.internal:9200, username: rota, password: "${file:/run/secrets/elastic}"}`,
			},
			New: func() provider.ConnectionConfig { return &connectionConfig{product: Elasticsearch} },
		}, {
			Kind: provider.Kind{
				Key: kindOpenSearch, Remote: true, Summary: "An OpenSearch cluster, and a user that may make API keys.",
				Example: `{url: https://search.internal:9200, username: rota, password: "${file:/run/secrets/opensearch}"}`,
			},
			New: func() provider.ConnectionConfig { return &connectionConfig{product: OpenSearch} },
		}},
		Issuers: []provider.Issuer{{
			Kind: provider.Kind{
				Key: "elasticsearch_api_key", Summary: "An API key of Elasticsearch (connection: elasticsearch).",
				Example: `{name: orders, role_descriptors: '{"orders": {"indices": [{"names": ["orders-*"], "privileges": ["read"]}]}}'}`,
			},
			Connection: kindElasticsearch, New: func() provider.IssuerConfig { return new(elasticsearchKey) },
		}, {
			Kind: provider.Kind{
				Key: "opensearch_api_key", Summary: "An API key of OpenSearch 3.7 or later (connection: opensearch).",
				Example: `{name: orders, index_permissions: [{index_patterns: ["orders-*"], allowed_actions: [read]}]}`,
			},
			Connection: kindOpenSearch, New: func() provider.IssuerConfig { return new(openSearchKey) },
		}},
	}
}

// connectionConfig is a cluster, and how to log in to it.
type connectionConfig struct {
	At       provider.Pos  `json:"-"`
	URL      provider.Text `json:"url" jsonschema:"The address of a node, or of what's in front of them."`
	Username provider.Text `json:"username,omitzero" jsonschema:"The user that Rota logs in as. It isn't needed with a client certificate."`
	Password provider.Text `json:"password,omitzero" secret:"true" jsonschema:"Its password: a reference such as ${file:/run/secrets/elastic}."`
	provider.TLSFiles

	product Product
}

// Validate implements [provider.Validator].
func (c *connectionConfig) Validate(v *provider.Validation) {
	c.CheckTLS(v, c.At)
	if c.Username.IsSet() != c.Password.IsSet() || !c.Username.IsSet() && !c.TLSCert.IsSet() {
		v.Problem(c.At, "", "username and password, or tls_cert and tls_key", "nothing says how to log in")
	}
	c.product.system().CheckURL(v, c.URL)
}

// Open implements [provider.ConnectionConfig].
func (c *connectionConfig) Open(b *provider.Build) (any, error) {
	cfg := Config{Product: c.product, URL: b.Text(c.URL), Username: b.Text(c.Username), Password: b.Text(c.Password), Certificates: c.Certificates(b), Reach: b.Reach}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return New(b.Name, cfg)
}

// Scope implements [provider.Scoper].
func (c *connectionConfig) Scope(k *provider.Known) string {
	return Elasticsearch.system().Scope(k, c.URL) // whichever product is said to be there
}

// keyConfig is what both issuers' part of rota.yaml has in common.
type keyConfig struct {
	At           provider.Pos      `json:"-"`
	Name         provider.Plain    `json:"name" jsonschema:"What the keys' names begin with. It's how Rota recognizes them."`
	ExpiresAfter provider.Duration `json:"expires_after,omitzero" default:"as the cluster has it" jsonschema:"How long a key is valid: longer than rotate_every and delete_previous_after together."`
}

// maxName is how long the name of a key may be in either product, in characters, with
// the version's id behind it.
const maxName = 100

// Validate implements [provider.Validator].
func (c *keyConfig) Validate(v *provider.Validation) {
	httpapi.CheckNamed(v, c.Name, maxName, c.ExpiresAfter)
}

// Claims implements [provider.Claimer].
func (c *keyConfig) Claims(k *provider.Known) []provider.Claim {
	if c.Name.Text == "" {
		return nil
	}
	return []provider.Claim{{Kind: "API keys", Name: c.Name.Text, Connection: k.Connection, Shown: "API keys " + c.Name.Text, At: c.Name.At}}
}

func (c *keyConfig) keys(b *provider.Build) APIKeys {
	return APIKeys{Connection: provider.Open[*Connection](b, b.Connection), KeyName: c.Name.Text, ExpiresAfter: c.ExpiresAfter.Length}
}

// elasticsearchKey is an issuer's part of rota.yaml.
type elasticsearchKey struct {
	keyConfig
	RoleDescriptors provider.Plain `json:"role_descriptors,omitzero" default:"all that Rota's user may" jsonschema:"What a key may do, in JSON as Elasticsearch takes it: roles by name. Rota's user must be allowed all of it."`
}

// Validate implements [provider.Validator].
func (c *elasticsearchKey) Validate(v *provider.Validation) {
	c.keyConfig.Validate(v)
	var roles map[string]map[string]any
	if text := c.RoleDescriptors; text.IsSet() && (json.Unmarshal([]byte(text.Text), &roles) != nil || len(roles) == 0) {
		v.Problem(text.At, "role_descriptors", `'{"orders": {"indices": [{"names": ["orders-*"], "privileges": ["read"]}]}}'`, "not a JSON object with roles by name")
	}
}

// Traits implements [provider.IssuerConfig].
func (c *elasticsearchKey) Traits() rota.Traits { return Elasticsearch.traits(c.ExpiresAfter.Length) }

// Fields implements [provider.IssuerConfig].
func (c *elasticsearchKey) Fields() provider.Fields {
	return provider.Fields{All: []string{FieldID, FieldAPIKey, FieldEncoded}, Login: []string{FieldID, FieldAPIKey}}
}

// Issuer implements [provider.IssuerConfig].
func (c *elasticsearchKey) Issuer(b *provider.Build) (rota.Issuer, error) {
	k := c.keys(b)
	k.RoleDescriptors = c.RoleDescriptors.Text
	return &k, b.Err()
}

// indexPermission is what a key may do with some indexes.
type indexPermission struct {
	At       provider.Pos     `json:"-"`
	Patterns []provider.Plain `json:"index_patterns" jsonschema:"The indexes, such as orders-*."`
	Actions  []provider.Plain `json:"allowed_actions" jsonschema:"Actions or action groups, such as read."`
}

// openSearchKey is an issuer's part of rota.yaml.
type openSearchKey struct {
	keyConfig
	ClusterPermissions []provider.Plain  `json:"cluster_permissions,omitzero" jsonschema:"What a key may do with the cluster: actions or action groups, such as cluster_monitor."`
	IndexPermissions   []indexPermission `json:"index_permissions,omitzero" jsonschema:"What a key may do with indexes."`
}

// Validate implements [provider.Validator].
func (c *openSearchKey) Validate(v *provider.Validation) {
	c.keyConfig.Validate(v)
	if len(c.ClusterPermissions)+len(c.IndexPermissions) == 0 {
		v.Problem(c.At, "", `index_permissions: [{index_patterns: ["orders-*"], allowed_actions: [read]}]`, "a key without permissions may do nothing")
	}
	for _, p := range c.IndexPermissions {
		if len(p.Patterns) == 0 || len(p.Actions) == 0 {
			v.Problem(p.At, "index_permissions", `{index_patterns: ["orders-*"], allowed_actions: [read]}`, "needs index_patterns and allowed_actions")
		}
	}
}

// Traits implements [provider.IssuerConfig].
func (c *openSearchKey) Traits() rota.Traits { return OpenSearch.traits(c.ExpiresAfter.Length) }

// Fields implements [provider.IssuerConfig].
func (c *openSearchKey) Fields() provider.Fields {
	return provider.Fields{All: []string{FieldID, FieldAPIKey}, Login: []string{FieldID, FieldAPIKey}}
}

// Issuer implements [provider.IssuerConfig].
func (c *openSearchKey) Issuer(b *provider.Build) (rota.Issuer, error) {
	k := c.keys(b)
	k.ClusterPermissions = texts(c.ClusterPermissions)
	k.IndexPermissions = []IndexPermission{}
	for _, p := range c.IndexPermissions {
		k.IndexPermissions = append(k.IndexPermissions, IndexPermission{Patterns: texts(p.Patterns), Actions: texts(p.Actions)})
	}
	return &k, b.Err()
}

func texts(list []provider.Plain) []string {
	all := []string{}
	for _, p := range list {
		all = append(all, p.Text)
	}
	return all
}

// example is a rota.yaml for rota providers and the docs.
const example = `connections:
  search:
    elasticsearch: {url: https://search.internal:9200, username: rota, password: "${file:/run/secrets/elastic}"}
  logs:
    opensearch: {url: https://logs.internal:9200, username: rota, password: "${file:/run/secrets/opensearch}"}
secrets:
  - name: prod/orders-search
    issuer:
      connection: search
      elasticsearch_api_key:
        name: orders
        role_descriptors: '{"orders": {"indices": [{"names": ["orders-*"], "privileges": ["read", "write"]}]}}'
        expires_after: 180d
    targets:
      - name: env
        file: {path: /etc/orders/search.env, format: dotenv, fields: {ELASTIC_API_KEY: encoded}}
    policy: {rotate_every: 90d, delete_previous_after: 30d}
  - name: prod/orders-logs
    issuer:
      connection: logs
      opensearch_api_key:
        name: orders
        cluster_permissions: ["indices:data/write/bulk"]
        index_permissions: [{index_patterns: ["logs-orders-*"], allowed_actions: [write]}]
        expires_after: 60d
    targets:
      - name: env
        file: {path: /etc/orders/logs.env, format: dotenv, fields: {LOGS_TOKEN: api_key}}
    policy: {rotate_every: 30d, delete_previous_after: 14d}
`
