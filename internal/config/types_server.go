package config

// Server configures rota serve.
type Server struct {
	At             Pos            `json:"-"`
	Listen         Plain          `json:"listen,omitzero" jsonschema:"The address and port to listen on. Defaults to 127.0.0.1:8470. Anything but a loopback address requires tls."`
	TLS            *ServerTLS     `json:"tls,omitzero" jsonschema:"The server's certificate."`
	Proxies        []Plain        `json:"trusted_proxies,omitzero" jsonschema:"Networks of proxies whose X-Forwarded-For is trusted, such as 10.0.0.0/8."`
	SecretsManager *Endpoint      `json:"secrets_manager,omitzero" jsonschema:"The endpoint that speaks AWS Secrets Manager's API over Rota's own store."`
	Metrics        Plain          `json:"metrics,omitzero" enum:"open,admin" jsonschema:"Who may read /metrics: open for everyone who can reach the port, or admin for callers with the right audit. Defaults to open. Metrics contain names and dates, but no values."`
	MetricsSecrets Int            `json:"metrics_secrets,omitzero" min:"0" max:"1000000" jsonschema:"The largest number of secrets that get individual metrics. If there are more, or with 0, only totals are exported. Defaults to 10000."`
	Audit          *AuditSettings `json:"audit,omitzero" jsonschema:"Where to anchor the audit's head and send its entries."`
}

// ServerTLS is a certificate and its key.
type ServerTLS struct {
	At        Pos  `json:"-"`
	Cert      Text `json:"cert" jsonschema:"The file with the certificate and its chain. It's reloaded when it changes."`
	Key       Text `json:"key" jsonschema:"The file with the certificate's private key."`
	ClientCA  Text `json:"client_ca,omitzero" jsonschema:"The file with the certificate authorities whose client certificates are trusted."`
	ClientCRL Text `json:"client_crl,omitzero" jsonschema:"The file with these authorities' revocation lists, in PEM. With it, no client certificate is accepted without a current list of its authority."`
}

// Endpoint is the Secrets Manager endpoint.
type Endpoint struct {
	At        Pos             `json:"-"`
	Region    Plain           `json:"region,omitzero" jsonschema:"The region in ARNs. Defaults to us-east-1."`
	Account   Plain           `json:"account,omitzero" jsonschema:"The twelve digits in ARNs, in quotes. Defaults to 000000000000."`
	Functions map[string]Text `json:"functions,omitzero" jsonschema:"Rotation functions: for each ARN, the URL that serves Lambda's Invoke call."`
}

// Access grants permissions, in addition to the principals in Rota's own store.
type Access struct {
	At           Pos            `json:"-"`
	Issuers      []*OIDCIssuer  `json:"issuers,omitzero" jsonschema:"Identity providers whose tokens are trusted."`
	Certificates []*Certificate `json:"certificates,omitzero" jsonschema:"Client certificates to accept."`
	Limits       *Limits        `json:"limits,omitzero" jsonschema:"Rate limits, per replica."`
}

// Limits are the rate limits on requests.
type Limits struct {
	At        Pos   `json:"-"`
	Principal *Rate `json:"principal,omitzero" jsonschema:"Requests from one principal. Defaults to 200 per second with bursts of 1000, and 500 open at once."`
	Address   *Rate `json:"address,omitzero" jsonschema:"Requests from one address. Defaults to 500 per second with bursts of 2000, and 1000 open at once."`
}

// Rate is a sustained number of requests per second, a burst size, and how many
// may stay open.
type Rate struct {
	At        Pos `json:"-"`
	PerSecond Int `json:"per_second" min:"1" max:"1000000" jsonschema:"The sustained rate per second."`
	Burst     Int `json:"burst" min:"1" max:"1000000" jsonschema:"The burst size."`
	Open      Int `json:"open,omitzero" min:"1" max:"1000000" jsonschema:"How many streams and long polls may be open at once."`
}

// OIDCIssuer is an identity provider.
type OIDCIssuer struct {
	At        Pos            `json:"-"`
	Name      Plain          `json:"name" jsonschema:"A short name, used in the audit."`
	URL       Plain          `json:"url" jsonschema:"The provider's URL, exactly as in its tokens' iss claim."`
	Audience  Plain          `json:"audience" jsonschema:"The aud claim that its tokens must have."`
	Bindings  []*OIDCBinding `json:"bindings" jsonschema:"Which tokens to accept, and what they may do."`
	JWKS      Plain          `json:"jwks,omitzero" jsonschema:"The URL of its keys, if it isn't the one in its discovery document."`
	CAFile    Plain          `json:"ca_file,omitzero" jsonschema:"The file with the certificate authorities that its own certificate is verified against."`
	TokenFile Plain          `json:"token_file,omitzero" jsonschema:"The file with the token that it requires before it serves its keys."`
}

// OIDCBinding grants rules to tokens.
type OIDCBinding struct {
	At        Pos              `json:"-"`
	Claims    map[string]Plain `json:"claims" jsonschema:"Patterns for claims, all of which must match. * stands for any characters."`
	Principal Plain            `json:"principal,omitzero" jsonschema:"The caller's name, with placeholders such as {project_path}. Defaults to {sub}."`
	Rules     []Plain          `json:"rules" jsonschema:"What they may do, such as read:shop/*."`
}

// Certificate grants rules to client certificates.
type Certificate struct {
	At           Pos     `json:"-"`
	CommonName   Plain   `json:"common_name,omitzero" jsonschema:"A pattern for the subject's common name."`
	Organization Plain   `json:"organization,omitzero" jsonschema:"A pattern for the subject's organization."`
	DNS          Plain   `json:"dns,omitzero" jsonschema:"A pattern for a DNS name among the alternative names."`
	URI          Plain   `json:"uri,omitzero" jsonschema:"A pattern for a URI among the alternative names, such as a SPIFFE ID."`
	Principal    Plain   `json:"principal,omitzero" jsonschema:"The caller's name, with placeholders such as {dns}."`
	Rules        []Plain `json:"rules" jsonschema:"What they may do, such as read:shop/*."`
}

// AuditSettings say where the audit log goes besides the database.
type AuditSettings struct {
	At          Pos       `json:"-"`
	AnchorEvery Duration  `json:"anchor_every,omitzero" jsonschema:"How often to anchor the chain's signed head. Defaults to 1h."`
	Anchors     []*Anchor `json:"anchors,omitzero" jsonschema:"Where to anchor the chain's signed head, so that truncation of the audit is detected."`
	Syslog      Plain     `json:"syslog,omitzero" jsonschema:"Where to send every entry as RFC 5424 syslog: tcp://host:6514, udp://host:514 or tls://host:6514."`
}

// Anchor is an outside place that keeps signed heads of the audit log.
type Anchor struct {
	At      Pos         `json:"-"`
	File    Plain       `json:"file,omitzero" oneof:"kind" jsonschema:"A file to append a line to, ideally on another machine's disk."`
	Webhook *AnchorHook `json:"webhook,omitzero" oneof:"kind" jsonschema:"A URL to post the head to."`
	Kind    Choice      `json:"-" kinds:"archive"`
}

// AnchorHook is an HTTP endpoint that receives signed heads.
type AnchorHook struct {
	At    Pos  `json:"-"`
	URL   Text `json:"url" jsonschema:"The address."`
	Token Text `json:"token,omitzero" secret:"true" jsonschema:"A bearer token for it."`
}
