package aws

import (
	"net"
	"net/url"
	"strings"

	awsarn "github.com/aws/aws-sdk-go-v2/aws/arn"

	"github.com/rota-dev/rota/provider"
)

// connectionConfig is an account and a region.
type connectionConfig struct {
	At              provider.Pos    `json:"-"`
	Region          provider.Text   `json:"region,omitzero" jsonschema:"The region, such as eu-central-1."`
	Profile         provider.Text   `json:"profile,omitzero" jsonschema:"A profile in the shared AWS configuration files."`
	RoleARN         provider.Text   `json:"role_arn,omitzero" jsonschema:"A role to assume."`
	Chain           []provider.Text `json:"chain,omitzero" jsonschema:"Roles to assume on the way to role_arn, each with the previous one's credentials."`
	ExternalID      provider.Text   `json:"external_id,omitzero" jsonschema:"The external ID that the role's trust policy requires."`
	SessionName     provider.Text   `json:"session_name,omitzero" jsonschema:"The assumed role's session name, as shown in CloudTrail."`
	Endpoint        provider.Text   `json:"endpoint,omitzero" jsonschema:"A different endpoint for all AWS services, for emulators."`
	AccessKeyID     provider.Text   `json:"access_key_id,omitzero" jsonschema:"The ID of a fixed access key, instead of the credential chain."`
	SecretAccessKey provider.Text   `json:"secret_access_key,omitzero" secret:"true" jsonschema:"The secret access key: a reference such as ${file:/run/secrets/aws}."`
	SessionToken    provider.Text   `json:"session_token,omitzero" secret:"true" jsonschema:"The session token that belongs to the access key, if any."`
}

// Validate implements [provider.Validator].
func (c *connectionConfig) Validate(v *provider.Validation) {
	if c.AccessKeyID.IsSet() != c.SecretAccessKey.IsSet() {
		v.Problem(c.At, "", "", "access_key_id and secret_access_key go together")
	}
	if c.SessionToken.IsSet() && !c.AccessKeyID.IsSet() {
		v.Problem(c.SessionToken.At, "session_token", "", "belongs to an access_key_id")
	}
	if c.Profile.IsSet() && c.AccessKeyID.IsSet() {
		v.Problem(c.Profile.At, "", "keep one", "profile and access_key_id exclude each other")
	}
	if c.RoleARN.IsSet() {
		return
	}
	for key, t := range map[string]provider.Text{"external_id": c.ExternalID, "session_name": c.SessionName} {
		if t.IsSet() {
			v.Problem(t.At, key, "role_arn", "belongs to a role_arn")
		}
	}
	if len(c.Chain) > 0 {
		v.Problem(c.Chain[0].At, "chain", "role_arn", "belongs to a role_arn")
	}
}

// Open implements [provider.ConnectionConfig].
func (c *connectionConfig) Open(b *provider.Build) (any, error) {
	cfg := Config{
		Region:          b.Text(c.Region),
		Profile:         b.Text(c.Profile),
		RoleARN:         b.Text(c.RoleARN),
		Chain:           b.Texts(c.Chain),
		ExternalID:      b.Text(c.ExternalID),
		SessionName:     b.Text(c.SessionName),
		Endpoint:        b.Text(c.Endpoint),
		AccessKeyID:     b.Text(c.AccessKeyID),
		SecretAccessKey: b.Text(c.SecretAccessKey),
		SessionToken:    b.Text(c.SessionToken),
		Budget:          b.Budget(),
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	return New(b.Context(), b.Name, cfg)
}

// Scope implements [provider.Scoper]. It's the role's account, or else Rota's own
// login: two connections without a role and with the same login are in the same
// account, whichever one that is.
func (c *connectionConfig) Scope(k *provider.Known) string {
	login := []string{"login"}
	for _, t := range []provider.Text{c.Endpoint, c.RoleARN, c.Profile, c.AccessKeyID} {
		text, known := k.Text(t)
		if !known {
			return ""
		}
		login = append(login, text)
	}
	login[1] = emulator(login[1])
	if role, err := awsarn.Parse(login[2]); err == nil && role.AccountID != "" {
		return accountScope(role.Partition, role.AccountID, login[1])
	}
	return strings.Join(login, "\x00")
}

// accountScope identifies an account in claims: in one of AWS's partitions, which
// share no accounts, or at the emulator with that address.
func accountScope(partition, account, endpoint string) string {
	return strings.Join([]string{"account", partition, account, emulator(endpoint)}, "\x00")
}

// emulator normalizes an emulator's address. All names of this machine with the
// same port are equal; other aliases can't be detected.
func emulator(endpoint string) string {
	u, err := url.Parse(strings.ToLower(strings.TrimRight(endpoint, "/")))
	if err != nil || u.Host == "" {
		return endpoint
	}
	if ip := net.ParseIP(u.Hostname()); ip != nil && ip.IsLoopback() {
		u.Host = strings.TrimSuffix("localhost:"+u.Port(), ":")
	}
	return u.String()
}

// regionIn returns a connection's region: what rota.yaml says, or else what the
// SDK found, once the connection is open.
func regionIn(k *provider.Known, connection string) string {
	if c, ok := k.Opened(connection).(*Connection); ok {
		return c.region
	}
	if c, ok := k.Config(connection).(*connectionConfig); ok {
		text, _ := k.Text(c.Region)
		return text
	}
	return ""
}

// endpointIn returns a connection's endpoint in the same way; "" for AWS itself.
func endpointIn(k *provider.Known, connection string) string {
	if c, ok := k.Opened(connection).(*Connection); ok {
		return c.endpoint
	}
	if c, ok := k.Config(connection).(*connectionConfig); ok {
		text, _ := k.Text(c.Endpoint)
		return text
	}
	return ""
}
