package config

import (
	"cmp"
	"reflect"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/aws"
	"github.com/rota-dev/rota/provider/postgres"
)

// The tables of what the file can name. They are all that a new provider adds
// here, beside its types and its wire_….go.

// Kinds of connections.
const (
	kindAWS      = "aws"
	kindPostgres = "postgres"
	kindSNS      = "sns"
	kindCommand  = "command"
	kindWebhook  = "webhook"
	kindSMTP     = "smtp"
	kindChat     = "chat"
)

// kind is the connection's kind.
func (c *Connection) kind() string {
	switch {
	case c.AWS != nil:
		return kindAWS
	case c.Postgres != nil:
		return kindPostgres
	case c.SNS != nil:
		return kindSNS
	case c.Command != nil:
		return kindCommand
	case c.Webhook != nil:
		return kindWebhook
	case c.SMTP != nil:
		return kindSMTP
	case c.Chat != nil:
		return kindChat
	}
	return ""
}

// issuerKind is what must be known of an issuer before it is wired. A test
// holds the traits against those of the wired issuer.
type issuerKind struct {
	key        string // of the file
	connection string // the kind of connection that it needs
	traits     rota.Traits
	fields     []string // that its credentials have
	needed     []string // those of them that it logs in with
}

// postgresFields are those of a PostgreSQL credential.
var postgresFields = []string{rota.FieldUsername, rota.FieldPassword, postgres.FieldHost, postgres.FieldPort, postgres.FieldDatabase}

// sessionFields are those of a role's session.
var sessionFields = []string{rota.FieldAccessKeyID, rota.FieldSecretAccessKey, rota.FieldSessionToken, rota.FieldExpiration}

var (
	iamAccessKey = issuerKind{
		key:        "iam_access_key",
		connection: kindAWS,
		traits:     rota.Traits{Kind: "IAM access key", Limit: 2},
		fields:     []string{rota.FieldAccessKeyID, rota.FieldSecretAccessKey},
		needed:     []string{rota.FieldAccessKeyID, rota.FieldSecretAccessKey},
	}
	assumeRole = issuerKind{
		key:        "assume_role",
		connection: kindAWS,
		fields:     sessionFields,
		needed:     sessionFields,
	}
	postgresPassword = issuerKind{
		key:        "password",
		connection: kindPostgres,
		traits:     rota.Traits{Kind: "PostgreSQL password", Limit: 1},
		fields:     postgresFields,
		needed:     []string{rota.FieldUsername, rota.FieldPassword},
	}
	postgresAlternating = issuerKind{
		key:        "alternating",
		connection: kindPostgres,
		traits:     rota.Traits{Kind: "PostgreSQL password", Limit: 2},
		fields:     postgresFields,
		needed:     []string{rota.FieldUsername, rota.FieldPassword},
	}
)

// manual needs no connection, and nobody logs in with it.
var manualIssuer = issuerKind{key: "manual", traits: rota.Traits{Kind: "credential", Limit: 1, Manual: true}}

func (i *Issuer) kind() issuerKind {
	switch {
	case i.Manual != nil:
		return manualIssuer
	case i.IAMAccessKey != nil:
		return iamAccessKey
	case i.AssumeRole != nil:
		kind := assumeRole
		kind.traits = aws.AssumedRoleTraits(cmp.Or(i.AssumeRole.Duration.Length, aws.DefaultSession))
		return kind
	case i.Password != nil:
		return postgresPassword
	case i.Alternating != nil:
		return postgresAlternating
	}
	return issuerKind{}
}

// kind is the target's kind, by its key in the file; "" for none.
func (t *Target) kind() string {
	v := reflect.ValueOf(t).Elem()
	for _, f := range fieldsOf(v.Type()) {
		if f.group != "" && !v.FieldByIndex(f.index).IsNil() {
			return f.key
		}
	}
	return ""
}

// connection is the one that the target logs in with, "" for none.
func (t *Target) connection() string {
	if t.SSMParameter != nil {
		return t.SSMParameter.Connection.Text
	}
	return ""
}

// rules are the password rules of the issuer over the defaults, and whether it
// makes passwords at all.
func (i *Issuer) rules(defaults PasswordRules) (rota.PasswordRules, bool) {
	switch {
	case i.Password != nil:
		return mergeRules(defaults, i.Password.PasswordRules), true
	case i.Alternating != nil:
		return mergeRules(defaults, i.Alternating.PasswordRules), true
	}
	return rota.PasswordRules{}, false
}

func mergeRules(defaults, own PasswordRules) rota.PasswordRules {
	if !own.Length.IsSet() {
		own.Length = defaults.Length
	}
	if !own.Alphabet.IsSet() {
		own.Alphabet = defaults.Alphabet
	}
	if !own.Exclude.IsSet() {
		own.Exclude = defaults.Exclude
	}
	return rota.PasswordRules{Length: own.Length.Number, Alphabet: own.Alphabet.Text, Exclude: own.Exclude.Text}
}

// IssuerFields are the fields that a secret's credentials are adopted with.
func (f *File) IssuerFields(name string) []string {
	for _, s := range f.Document.Secrets {
		if s.Name.Text == name {
			return s.Issuer.kind().needed
		}
	}
	return nil
}
