package function

import (
	"fmt"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// kindFunction is the key of this package's connections.
const kindFunction = "rotation_function"

// Provider describes what rota.yaml can name of rotation functions.
func Provider() provider.Provider {
	return provider.Provider{
		Name:    "function",
		System:  "Rotation functions",
		Example: example,
		Connections: []provider.Connection{{
			Kind: provider.Kind{
				Key: kindFunction, Summary: "A rotation function written for AWS Secrets Manager, which needs no change.",
				Example: "{url: \"http://127.0.0.1:9000/2015-03-31/functions/function/invocations\", listen: \"127.0.0.1:9001\", access_key_id: ROTAFUNCTION00000000, secret_access_key: \"${file:/run/secrets/function}\"}",
			},
			New: func() provider.ConnectionConfig { return new(connectionConfig) },
		}},
		Issuers: []provider.Issuer{{
			Kind: provider.Kind{
				Key: "function_credential", Summary: "What a rotation function rotates, such as a database user's password (connection: rotation_function).",
				Example: "{name: prod/orders-db}",
			},
			Connection: kindFunction,
			Varies:     "with users, the previous one stays valid until it's deleted",
			New:        func() provider.IssuerConfig { return new(credentialConfig) },
		}},
	}
}

// connectionConfig is a connection's part of rota.yaml.
type connectionConfig struct {
	At  provider.Pos   `json:"-"`
	URL provider.Text  `json:"url,omitzero" default:"Lambda's, if arn is given" jsonschema:"What takes Lambda's Invoke call, such as Lambda's runtime emulator."`
	ARN provider.Plain `json:"arn,omitzero" jsonschema:"A function in AWS Lambda. Rota calls it with the machine's AWS identity."`
	provider.TLSFiles
	Listen          provider.Plain `json:"listen" jsonschema:"The host and port where Rota stands in for Secrets Manager while a step runs. The function's endpoint for Secrets Manager leads there."`
	ListenCert      provider.Text  `json:"listen_cert,omitzero" jsonschema:"The file with the certificate that Rota shows there."`
	ListenKey       provider.Text  `json:"listen_key,omitzero" jsonschema:"The file with its key."`
	AllowPlaintext  provider.Bool  `json:"allow_plaintext,omitzero" default:"false" jsonschema:"Allows plain HTTP beyond this machine, in both directions: for a network that only Rota and the function are on."`
	AccessKeyID     provider.Text  `json:"access_key_id" public:"true" jsonschema:"What the function has for AWS_ACCESS_KEY_ID. Choose one: it's for these calls alone."`
	SecretAccessKey provider.Text  `json:"secret_access_key" secret:"true" jsonschema:"What it has for AWS_SECRET_ACCESS_KEY: a reference such as ${file:/run/secrets/function}."`
}

// Validate implements [provider.Validator].
func (c *connectionConfig) Validate(v *provider.Validation) {
	if !c.URL.IsSet() && !c.ARN.IsSet() {
		v.Problem(c.At, "url", exampleURL, "url or arn must say where the function is")
	}
	if text, plain := c.URL.Literal(); plain && text != "" {
		if _, err := parseURL(text, c.AllowPlaintext.Yes); err != nil {
			v.Error(c.URL.At, "url", err)
		}
	}
	if c.ARN.IsSet() {
		if _, err := functionARN(c.ARN.Text); err != nil {
			v.Error(c.ARN.At, "arn", err)
		}
	}
	if err := checkListen(c.Listen.Text, c.ListenCert.IsSet(), c.AllowPlaintext.Yes); c.Listen.IsSet() && err != nil {
		v.Error(c.Listen.At, "listen", err)
	}
	if c.ListenCert.IsSet() != c.ListenKey.IsSet() {
		v.Problem(c.At, "", "", "listen_cert and listen_key must be set together")
	}
	if id, plain := c.AccessKeyID.Literal(); plain && id != "" && !goodKeyID(id) {
		v.Problem(c.AccessKeyID.At, "access_key_id", "ROTAFUNCTION00000000", "not 16 to 128 letters and digits")
	}
	c.CheckTLS(v, c.At)
}

// goodKeyID reports whether AWS's SDKs take a text for an access key's id.
func goodKeyID(id string) bool {
	return len(id) >= 16 && len(id) <= 128 && strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// Open implements [provider.ConnectionConfig].
func (c *connectionConfig) Open(b *provider.Build) (any, error) {
	cfg := Config{
		URL: b.Text(c.URL), ARN: c.ARN.Text, Certificates: c.Certificates(b), Listen: c.Listen.Text,
		ListenCert: b.Text(c.ListenCert), ListenKey: b.Text(c.ListenKey), AllowPlaintext: c.AllowPlaintext.Yes,
		AccessKeyID: b.Text(c.AccessKeyID), SecretAccessKey: strings.TrimSpace(b.Text(c.SecretAccessKey)),
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return New(b.Name, cfg)
}

// Scope implements [provider.Scoper].
func (c *connectionConfig) Scope(k *provider.Known) string {
	if c.ARN.Text != "" {
		return c.ARN.Text
	}
	text, known := k.Text(c.URL)
	if !known {
		return ""
	}
	return provider.ScopeOf(text)
}

// credentialConfig is an issuer's part of rota.yaml.
type credentialConfig struct {
	At         provider.Pos                        `json:"-"`
	Name       provider.Plain                      `json:"name" jsonschema:"The secret's name, as the function sees it, or its ARN if the function knows that."`
	ID         provider.Plain                      `json:"id,omitzero" default:"username" jsonschema:"The field that says whose credential it is. It's shown in status and history."`
	FieldNames []provider.Plain                    `json:"fields,omitzero" default:"username and password" jsonschema:"The fields of a credential: those that the function reads and writes. Others are dropped."`
	Users      []provider.Plain                    `json:"users,omitzero" jsonschema:"The two users that the function takes turns with, if it does."`
	Secrets    map[string]map[string]provider.Text `json:"secrets,omitzero" secret:"true" harmless:"engine,host,port,dbname,username,ssl" jsonschema:"Other secrets that the function reads, by the id that it asks for, such as the administrator's in masterarn. Each is a mapping of its fields."`
	Refused    []provider.Plain                    `json:"refused,omitzero" jsonschema:"Texts in the error of testSecret that mean that the login was refused, besides what psycopg and PyMySQL say. Without them Rota can't tell a wrong password from a server that's down."`
}

// Validate implements [provider.Validator].
func (c *credentialConfig) Validate(v *provider.Validation) {
	if _, err := secretARN(c.Name.Text); err != nil && !goodName(c.Name.Text) && c.Name.IsSet() {
		v.Problem(c.Name.At, "name", "prod/orders-db", "not a name that Secrets Manager allows, nor a secret's whole ARN")
	}
	if _, there := c.Secrets[c.Name.Text]; there {
		v.Problem(c.Name.At, "secrets", "the administrator's secret, by the id in masterarn", "%s is the secret that the function rotates", c.Name.Text)
	}
	if n := len(c.Users); n != 0 && n != 2 {
		v.Problem(c.Users[0].At, "users", "[orders, orders_clone]", "%d users are given, and two can take turns", n)
	} else if n == 2 && c.Users[0].Text == c.Users[1].Text {
		v.Problem(c.Users[1].At, "users", "[orders, orders_clone]", "the same user twice")
	}
	id, found := c.id(), false
	for _, f := range c.Fields().All {
		found = found || f == id
	}
	if !found {
		v.Problem(c.At, "fields", "fields: ["+id+", …]", "fields has no %s, which is the credential's id", id)
	}
	for _, text := range c.Refused {
		if len(text.Text) < 4 {
			v.Problem(text.At, "refused", "password authentication failed", "too short to mean anything")
		}
	}
}

// goodName reports whether Secrets Manager takes a name.
func goodName(name string) bool {
	return name != "" && len(name) <= 512 && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/_+=.@-!") == ""
}

func (c *credentialConfig) id() string {
	if c.ID.Text != "" {
		return c.ID.Text
	}
	return rota.FieldUsername
}

// Traits implements [provider.IssuerConfig].
func (c *credentialConfig) Traits() rota.Traits { return traits(len(c.Users)) }

// Fields implements [provider.IssuerConfig].
func (c *credentialConfig) Fields() provider.Fields {
	all := plains(c.FieldNames)
	if all == nil {
		all = defaultFields
	}
	return provider.Fields{All: all, Login: all}
}

// Claims implements [provider.Claimer].
func (c *credentialConfig) Claims(k *provider.Known) []provider.Claim {
	if c.Name.Text == "" {
		return nil
	}
	name := c.Name.Text
	if a, err := secretARN(name); err == nil {
		name = nameOf(a)
	}
	return []provider.Claim{{Kind: "secret of the function", Name: name, Connection: k.Connection, Shown: fmt.Sprintf("secret %q of the function", name), At: c.Name.At}}
}

// Issuer implements [provider.IssuerConfig].
func (c *credentialConfig) Issuer(b *provider.Build) (rota.Issuer, error) {
	connection := provider.Open[*Connection](b, b.Connection)
	cfg := CredentialConfig{Name: c.Name.Text, ID: c.id(), Fields: c.Fields().All, Users: plains(c.Users), Refused: plains(c.Refused), Secrets: map[string]rota.Credential{}}
	for id, fields := range c.Secrets {
		cfg.Secrets[id] = rota.NewCredential(b.TextMap(fields))
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return connection.Credentials(cfg), nil
}

func plains(list []provider.Plain) []string {
	var out []string
	for _, p := range list {
		out = append(out, p.Text)
	}
	return out
}

// example is a rota.yaml for rota providers and the docs.
const example = `connections:
  rotate-orders:
    rotation_function:
      url: http://127.0.0.1:9000/2015-03-31/functions/function/invocations
      listen: 127.0.0.1:9001
      access_key_id: ROTAFUNCTION00000000
      secret_access_key: ${file:/run/secrets/function}

secrets:
  - name: prod/orders-db
    issuer:
      connection: rotate-orders
      function_credential:
        name: prod/orders-db
        fields: [engine, host, port, dbname, username, password]
    targets:
      - {name: app, file: {path: /etc/orders/db.env, format: dotenv, fields: {DB_HOST: host, DB_USER: username, DB_PASSWORD: password}}}
`
