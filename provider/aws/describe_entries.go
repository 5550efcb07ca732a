package aws

import (
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// secretsManagerConfig is an entry of AWS Secrets Manager.
type secretsManagerConfig struct {
	At       provider.Pos              `json:"-"`
	Name     provider.Text             `json:"name" jsonschema:"The entry's name or ARN."`
	Fields   map[string]provider.Plain `json:"fields,omitzero" jsonschema:"The entry's JSON keys, each with a field of the credential or a template such as postgres://{username}:{password|url}@db/app. Other keys in the entry are kept."`
	KMSKeyID provider.Text             `json:"kms_key_id,omitzero" jsonschema:"The KMS key to encrypt it with, if Rota creates the entry."`
	Tags     map[string]provider.Text  `json:"tags,omitzero" empty:"true" jsonschema:"Tags, if Rota creates the entry."`
}

// leastEvery is the shortest rotation interval that AWS's quota on a secret's
// versions sustains.
const leastEvery = 15 * time.Minute

// LeastEvery implements [provider.Pacer].
func (c *secretsManagerConfig) LeastEvery() (time.Duration, string) {
	return leastEvery, "Secrets Manager takes: it keeps each version for a day, and about 100"
}

// Validate implements [provider.Validator].
func (c *secretsManagerConfig) Validate(v *provider.Validation) {
	if name, plain := c.Name.Literal(); plain && name != "" {
		if err := ValidateSecretName(name); err != nil {
			v.Error(c.Name.At, "name", err)
		}
	}
	v.KeepsLogin(c.At, "fields", c.Fields)
}

// Claims implements [provider.Claimer].
func (c *secretsManagerConfig) Claims(k *provider.Known) []provider.Claim {
	entry, ok := k.Claim("store entry", c.Name)
	if !ok {
		return nil
	}
	return []provider.Claim{regional(k, entry, "secretsmanager", "secret:")}
}

// regional completes a claim on a regional resource: it adds the region, and the
// account if the name is an ARN. It reduces an ARN to the name by cutting off
// before, and for a secret also the suffix that AWS appends.
func regional(k *provider.Known, c provider.Claim, service, before string) provider.Claim {
	parts := strings.SplitN(c.Name, ":", 6) // arn:aws:service:region:account:resource
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != service {
		c.Name = regionIn(k, c.Connection) + "\x00" + c.Name
		return c
	}
	name := strings.TrimPrefix(parts[5], before)
	if short := nameOf(c.Name, parts[3]); service == "secretsmanager" && short != "" && name[len(short)] == '-' {
		name = short
	}
	if one, ok := strings.CutPrefix(name, "/"); ok && service == "ssm" && !strings.Contains(one, "/") {
		name = one // only hierarchical names begin with a slash
	}
	c.Name, c.Scope = parts[3]+"\x00"+name, accountScope(parts[1], parts[4], endpointIn(k, c.Connection))
	return c
}

// Store implements [provider.StoreConfig].
func (c *secretsManagerConfig) Store(b *provider.Build) (rota.Store, error) {
	connection := provider.Open[*Connection](b, b.Connection)
	cfg := SecretsManagerConfig{Name: b.Text(c.Name), Fields: b.Fields(c.Fields), KMSKeyID: b.Text(c.KMSKeyID), Tags: b.TextMap(c.Tags)}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return connection.SecretsManager(cfg), nil
}

// parameterConfig is a parameter of SSM Parameter Store.
type parameterConfig struct {
	At         provider.Pos              `json:"-"`
	Connection provider.ConnectionName   `json:"connection" kind:"aws" jsonschema:"The aws connection to log in with."`
	Name       provider.Text             `json:"name" jsonschema:"The parameter's name, such as /prod/app/db."`
	Type       provider.Plain            `json:"type,omitzero" enum:"SecureString,String" default:"SecureString" jsonschema:"The parameter's type."`
	KeyID      provider.Text             `json:"key_id,omitzero" default:"aws/ssm" jsonschema:"The KMS key that encrypts it."`
	Tier       provider.Plain            `json:"tier,omitzero" enum:"Standard,Advanced,Intelligent-Tiering" default:"the account's" jsonschema:"Standard holds up to 4 KB, Advanced up to 8 KB."`
	Field      provider.Plain            `json:"field,omitzero" jsonschema:"The field or template to store as the parameter's value. Defaults to a JSON object with all fields."`
	Fields     map[string]provider.Plain `json:"fields,omitzero" jsonschema:"The names in the JSON object, each with a field of the credential or a template."`
}

// Validate implements [provider.Validator].
func (c *parameterConfig) Validate(v *provider.Validation) {
	if name, plain := c.Name.Literal(); plain && name != "" {
		if err := ValidateParameterName(name); err != nil {
			v.Error(c.Name.At, "name", err)
		}
	}
	if c.Field.IsSet() && len(c.Fields) > 0 {
		v.Problem(c.Field.At, "", "keep one", "field and fields exclude each other")
	}
	if c.KeyID.IsSet() && c.Type.Text == "String" {
		v.Problem(c.KeyID.At, "key_id", "type: SecureString", "a String is not encrypted")
	}
	if c.Field.Text != "" {
		v.FieldMap("", map[string]provider.Plain{"field": c.Field})
	}
	v.FieldMap("fields", c.Fields)
}

// Claims implements [provider.Claimer].
func (c *parameterConfig) Claims(k *provider.Known) []provider.Claim {
	parameter, ok := k.Claim("parameter", c.Name)
	if !ok {
		return nil
	}
	parameter.Connection = c.Connection.Text
	parameter = regional(k, parameter, "ssm", "parameter")
	return []provider.Claim{parameter}
}

// Target implements [provider.TargetConfig].
func (c *parameterConfig) Target(b *provider.Build) (rota.Target, error) {
	connection := provider.Open[*Connection](b, c.Connection.Text)
	cfg := ParameterConfig{Target: b.Name, Name: b.Text(c.Name), Type: c.Type.Text, KeyID: b.Text(c.KeyID), Tier: c.Tier.Text, Fields: b.Fields(c.Fields)}
	if c.Field.IsSet() {
		cfg.Value = b.Fields(map[string]provider.Plain{"field": c.Field})
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return connection.Parameter(cfg), nil
}
