package config

// Secret is one thing that Rota keeps fresh.
type Secret struct {
	At     Pos       `json:"-"`
	Name   Name      `json:"name" jsonschema:"The secret's name: letters, digits and / _ + = . @ -"`
	Owner  Plain     `json:"owner,omitzero" jsonschema:"Who has to act where no program can: a name or an address."`
	Issuer Issuer    `json:"issuer" jsonschema:"Where the credential is valid and is made."`
	Store  *Store    `json:"store,omitzero" jsonschema:"Where the credential is kept. Without it, in Rota's own store."`
	Test   Checks    `json:"test,omitzero" jsonschema:"Your own test of a new credential, or a list of them."`
	Target []*Target `json:"targets,omitzero" jsonschema:"The places that get a copy of the current credential."`
	Reload []*Reload `json:"reload,omitzero" jsonschema:"What makes consumers take up the new credential, in this order."`
	Notify []Notice  `json:"notify,omitzero" jsonschema:"The connections that hear what happened, in place of the defaults."`
	Policy *Policy   `json:"policy,omitzero" jsonschema:"When it is rotated. Merged over the defaults, key by key."`
	Advice Plain     `json:"advice,omitzero" enum:"on,off" jsonschema:"Whether rota check says how the targets could do without a key. Defaults to on."`
}

// Issuer is where the credential is valid.
type Issuer struct {
	At           Pos           `json:"-"`
	Connection   Plain         `json:"connection,omitzero" jsonschema:"The connection to log in with."`
	IAMAccessKey *IAMAccessKey `json:"iam_access_key,omitzero" oneof:"kind" jsonschema:"The access key of an IAM user (connection: aws)."`
	AssumeRole   *AssumeRole   `json:"assume_role,omitzero" oneof:"kind" jsonschema:"Sessions of an IAM role (connection: aws): keys that end by themselves and are renewed in time."`
	Password     *Password     `json:"password,omitzero" oneof:"kind" jsonschema:"The password of one database role (connection: postgres). The old one is dead as soon as the new one is set."`
	Alternating  *Alternating  `json:"alternating,omitzero" oneof:"kind" jsonschema:"The passwords of two database roles in turn (connection: postgres), so that the other stays valid."`
	Manual       *Manual       `json:"manual,omitzero" oneof:"kind" jsonschema:"What only a person can rotate: Rota reminds, and rota done notes that it was done."`
}

// Manual is what no program can rotate.
type Manual struct {
	At   Pos   `json:"-"`
	What Plain `json:"what" jsonschema:"What it is, for people, such as a licence key."`
}

// IAMAccessKey is the access key of an IAM user.
type IAMAccessKey struct {
	At   Pos  `json:"-"`
	User Text `json:"user" jsonschema:"The IAM user's name."`
}

// Password is the password of one database role.
type Password struct {
	PasswordRules
	Role Text `json:"role" jsonschema:"The database role."`
}

// Alternating is two database roles whose passwords change in turn.
type Alternating struct {
	PasswordRules
	Roles [2]Text `json:"roles" jsonschema:"The two roles, with the same rights."`
	Group Text    `json:"group,omitzero" jsonschema:"The role that both are members of, and that owns what they own."`
}

// Store is where the credential is kept.
type Store struct {
	At             Pos             `json:"-"`
	Connection     Plain           `json:"connection" jsonschema:"The connection to log in with."`
	SecretsManager *SecretsManager `json:"secrets_manager,omitzero" oneof:"kind" jsonschema:"An entry of AWS Secrets Manager (connection: aws)."`
}

// SecretsManager is an entry of AWS Secrets Manager.
type SecretsManager struct {
	At       Pos              `json:"-"`
	Name     Text             `json:"name" jsonschema:"The entry's name or ARN."`
	Fields   map[string]Plain `json:"fields,omitzero" jsonschema:"The entry's JSON keys, each with the credential's field or a template such as postgres://{username}:{password|url}@db/app. Other keys of the entry are kept."`
	KMSKeyID Text             `json:"kms_key_id,omitzero" jsonschema:"The KMS key, if Rota creates the entry."`
	Tags     map[string]Text  `json:"tags,omitzero" empty:"true" jsonschema:"Tags, if Rota creates the entry."`
}

// Check is the user's own test of a new credential.
type Check struct {
	At       Pos  `json:"-"`
	S3Bucket Text `json:"s3_bucket,omitzero" oneof:"kind" jsonschema:"A bucket that must be reachable with the new access key."`
	Query    Text `json:"query,omitzero" oneof:"kind" jsonschema:"A statement that must run with the new password, such as SELECT 1."`
}

// Target is a place that gets a copy of the current credential.
type Target struct {
	At           Pos           `json:"-"`
	Name         Plain         `json:"name" jsonschema:"A name of your choice, for the progress and the log."`
	File         *FileTarget   `json:"file,omitzero" oneof:"kind" jsonschema:"A file of this machine."`
	SSMParameter *SSMParameter `json:"ssm_parameter,omitzero" oneof:"kind" jsonschema:"A parameter of AWS SSM Parameter Store."`
}

// FileTarget is a file of this machine.
type FileTarget struct {
	At      Pos              `json:"-"`
	Path    Text             `json:"path" jsonschema:"The file's absolute path."`
	Format  Plain            `json:"format" enum:"dotenv,json,aws_credentials" jsonschema:"How it is written."`
	Profile Plain            `json:"profile,omitzero" jsonschema:"The profile in an AWS credentials file. Defaults to default."`
	Fields  map[string]Plain `json:"fields,omitzero" jsonschema:"The names in the file, each with the credential's field or a template."`
	Mode    Mode             `json:"mode,omitzero" jsonschema:"The file's permissions, in quotes. Defaults to \"0600\"."`
	Owner   Plain            `json:"owner,omitzero" jsonschema:"The file's owner, by name or number in quotes."`
	Group   Plain            `json:"group,omitzero" jsonschema:"The file's group, by name or number in quotes."`
}

// Reload is what makes consumers take up the new credential.
type Reload struct {
	At      Pos      `json:"-"`
	Name    Plain    `json:"name" jsonschema:"A name of your choice, for the progress and the log."`
	Command *Command `json:"command,omitzero" oneof:"kind" jsonschema:"A command of this machine. It must end with 0 once the consumers run well."`
}
