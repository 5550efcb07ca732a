package config

// Server configures rota serve.
type Server struct {
	At             Pos            `json:"-"`
	Listen         Plain          `json:"listen,omitzero" jsonschema:"The address and port to listen on. Defaults to 127.0.0.1:8470. Others than this machine's own need tls."`
	TLS            *ServerTLS     `json:"tls,omitzero" jsonschema:"The server's certificate."`
	Proxies        []Plain        `json:"trusted_proxies,omitzero" jsonschema:"Networks of proxies whose X-Forwarded-For is believed, such as 10.0.0.0/8."`
	SecretsManager *Endpoint      `json:"secrets_manager,omitzero" jsonschema:"The endpoint that speaks AWS Secrets Manager's API over Rota's own store."`
	Metrics        Plain          `json:"metrics,omitzero" enum:"open,admin" jsonschema:"Who may read /metrics: open for everyone who can reach the port, or those with the right audit. Defaults to open; it holds names and dates, no values."`
	MetricsSecrets Int            `json:"metrics_secrets,omitzero" min:"0" max:"1000000" jsonschema:"How many secrets there may be for each to have metrics of its own. With more, and with 0, there are totals only. Defaults to 10000."`
	Audit          *AuditSettings `json:"audit,omitzero" jsonschema:"Where the audit's head is anchored and its entries are sent."`
}

// ServerTLS is a certificate and its key.
type ServerTLS struct {
	At       Pos  `json:"-"`
	Cert     Text `json:"cert" jsonschema:"The file with the certificate, and those that it was signed with. Read again when it changes."`
	Key      Text `json:"key" jsonschema:"The file with its key."`
	ClientCA Text `json:"client_ca,omitzero" jsonschema:"The file with the authorities whose client certificates are believed."`
}

// Endpoint is the Secrets Manager endpoint.
type Endpoint struct {
	At        Pos             `json:"-"`
	Region    Plain           `json:"region,omitzero" jsonschema:"The region in ARNs. Defaults to us-east-1."`
	Account   Plain           `json:"account,omitzero" jsonschema:"The twelve digits in ARNs, in quotes. Defaults to 000000000000."`
	Functions map[string]Text `json:"functions,omitzero" jsonschema:"Rotation functions: for each ARN the URL that takes Lambda's Invoke call."`
}

// Access grants permissions, in addition to the principals in Rota's own store.
type Access struct {
	At           Pos            `json:"-"`
	Issuers      []*OIDCIssuer  `json:"issuers,omitzero" jsonschema:"Identity providers whose tokens are believed."`
	Certificates []*Certificate `json:"certificates,omitzero" jsonschema:"Client certificates that are let in."`
	Limits       *Limits        `json:"limits,omitzero" jsonschema:"How often one may ask, on each replica."`
}

// Limits are the rate limits on requests.
type Limits struct {
	At        Pos   `json:"-"`
	Principal *Rate `json:"principal,omitzero" jsonschema:"Requests of one principal. Defaults to 200 a second, 1000 at once."`
	Address   *Rate `json:"address,omitzero" jsonschema:"Requests from one address. Defaults to 500 a second, 2000 at once."`
}

// Rate is a sustained number of requests per second, and a burst size.
type Rate struct {
	At        Pos `json:"-"`
	PerSecond Int `json:"per_second" min:"1" max:"1000000" jsonschema:"How often a second in the long run."`
	Burst     Int `json:"burst" min:"1" max:"1000000" jsonschema:"How often at once."`
}

// OIDCIssuer is an identity provider.
type OIDCIssuer struct {
	At        Pos            `json:"-"`
	Name      Plain          `json:"name" jsonschema:"A short name, for the audit."`
	URL       Plain          `json:"url" jsonschema:"The provider as its tokens' iss has it, to the letter."`
	Audience  Plain          `json:"audience" jsonschema:"The aud that its tokens must have."`
	Bindings  []*OIDCBinding `json:"bindings" jsonschema:"Which tokens are let in, and what they may do."`
	JWKS      Plain          `json:"jwks,omitzero" jsonschema:"Where its keys are, if not where its discovery says."`
	CAFile    Plain          `json:"ca_file,omitzero" jsonschema:"The file with the authorities that its own certificate is checked with."`
	TokenFile Plain          `json:"token_file,omitzero" jsonschema:"The file with the token that it asks for before it gives its keys."`
}

// OIDCBinding grants rules to tokens.
type OIDCBinding struct {
	At        Pos              `json:"-"`
	Claims    map[string]Plain `json:"claims" jsonschema:"Patterns of claims that must all match; * stands for any characters."`
	Principal Plain            `json:"principal,omitzero" jsonschema:"The caller's name, with places such as {project_path}. Defaults to {sub}."`
	Rules     []Plain          `json:"rules" jsonschema:"What they may do, such as read:shop/*."`
}

// Certificate grants rules to client certificates.
type Certificate struct {
	At           Pos     `json:"-"`
	CommonName   Plain   `json:"common_name,omitzero" jsonschema:"A pattern of the subject's common name."`
	Organization Plain   `json:"organization,omitzero" jsonschema:"A pattern of the subject's organization."`
	DNS          Plain   `json:"dns,omitzero" jsonschema:"A pattern of an alternative name."`
	URI          Plain   `json:"uri,omitzero" jsonschema:"A pattern of an alternative URI, such as a SPIFFE id."`
	Principal    Plain   `json:"principal,omitzero" jsonschema:"The caller's name, with places such as {dns}."`
	Rules        []Plain `json:"rules" jsonschema:"What they may do, such as read:shop/*."`
}

// AuditSettings say where the audit log goes besides the database.
type AuditSettings struct {
	At          Pos       `json:"-"`
	AnchorEvery Duration  `json:"anchor_every,omitzero" jsonschema:"How often the chain's signed head is anchored. Defaults to 1h."`
	Anchors     []*Anchor `json:"anchors,omitzero" jsonschema:"Where the chain's signed head is anchored, so that cutting off the audit's end is found."`
	Syslog      Plain     `json:"syslog,omitzero" jsonschema:"Where every entry is sent as RFC 5424: tcp://host:6514, udp://host:514 or tls://host:6514."`
}

// Anchor is an outside place that keeps signed heads of the audit log.
type Anchor struct {
	At      Pos         `json:"-"`
	File    Plain       `json:"file,omitzero" oneof:"kind" jsonschema:"A file that a line is added to, best on another machine's disk."`
	Webhook *AnchorHook `json:"webhook,omitzero" oneof:"kind" jsonschema:"An address that the head is posted to."`
	Kind    Choice      `json:"-" kinds:"archive"`
}

// AnchorHook is an HTTP endpoint that receives signed heads.
type AnchorHook struct {
	At    Pos  `json:"-"`
	URL   Text `json:"url" jsonschema:"The address."`
	Token Text `json:"token,omitzero" secret:"true" jsonschema:"A bearer token for it."`
}
