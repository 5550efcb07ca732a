package config

// AssumeRole is a role whose sessions are issued: keys that end by themselves.
type AssumeRole struct {
	At                Pos             `json:"-"`
	RoleARN           Text            `json:"role_arn" jsonschema:"The role."`
	Duration          Duration        `json:"duration,omitzero" jsonschema:"How long a session lives, 15m to 12h; 1h at most with a chain, or where the connection is a role itself. Defaults to 1h."`
	SessionName       Text            `json:"session_name,omitzero" jsonschema:"The session's name, seen in CloudTrail. Defaults to rota."`
	ExternalID        Text            `json:"external_id,omitzero" jsonschema:"The external id that the role's trust policy asks for."`
	Policy            Plain           `json:"policy,omitzero" jsonschema:"A session policy in JSON: the session may do what both it and the role allow."`
	PolicyARNs        []Text          `json:"policy_arns,omitzero" jsonschema:"Managed policies, as session policies."`
	Tags              map[string]Text `json:"tags,omitzero" empty:"true" jsonschema:"Session tags."`
	TransitiveTagKeys []Plain         `json:"transitive_tag_keys,omitzero" jsonschema:"The tags that go on to the sessions of roles that are assumed with this one."`
	Chain             []Text          `json:"chain,omitzero" jsonschema:"Roles to assume on the way, each with the credentials of the one before."`
}

// SSMParameter is a parameter of SSM Parameter Store.
type SSMParameter struct {
	At         Pos              `json:"-"`
	Connection Plain            `json:"connection" jsonschema:"The aws connection to log in with."`
	Name       Text             `json:"name" jsonschema:"The parameter's name, such as /prod/app/db."`
	Type       Plain            `json:"type,omitzero" enum:"SecureString,String" jsonschema:"The parameter's type. Defaults to SecureString."`
	KeyID      Text             `json:"key_id,omitzero" jsonschema:"The KMS key that encrypts it. Defaults to aws/ssm."`
	Tier       Plain            `json:"tier,omitzero" enum:"Standard,Advanced,Intelligent-Tiering" jsonschema:"Standard takes 4 KB, Advanced 8 KB. Defaults to the account's."`
	Field      Plain            `json:"field,omitzero" jsonschema:"The one field, or the template of fields, that the parameter holds. Without it, a JSON object."`
	Fields     map[string]Plain `json:"fields,omitzero" jsonschema:"The names in the JSON object, each with the credential's field or a template."`
}
