package function

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/aws"
	"github.com/rota-dev/rota/rotation"
)

// Tags that say how a secret is rotated if its value doesn't.
const (
	userTag      = "rota:iam-user"
	accessKeyTag = "rota:access-key-field"
	secretKeyTag = "rota:secret-key-field"
	rolesTag     = "rota:users" // single or alternating
	topicTag     = "rota:topic" // ARN of the owner's topic
)

// secretOfEntry returns the secret stored in an entry of Secrets Manager, as
// the configuration defines it or else as the entry describes itself.
func (inv *invocation) secretOfEntry(ctx context.Context, id string) (*rotation.Secret, error) {
	if s, err := inv.configuredSecret(id); s != nil || err != nil {
		return s, err
	}
	entry, err := inv.aws.Entry(ctx, id)
	if err != nil {
		return nil, err
	}
	s := &rotation.Secret{Name: entry.Name, Policy: inv.settings.retireFirstPolicy()}
	switch engine := entry.Values.Field("engine"); {
	case engine == "postgres" || engine == "postgresql" || engine == "aurora-postgresql":
		err = inv.postgres(ctx, s, entry)
	case engine == "mysql" || engine == "mariadb" || engine == "aurora-mysql":
		err = inv.mysql(ctx, s, entry)
	case engine != "":
		err = &configError{rota.WithRemedies(fmt.Errorf("secret %s: unknown engine", entry.Name), rota.Outside("postgres, mysql or mariadb"))}
	default:
		err = inv.accessKeys(ctx, s, entry)
	}
	if err != nil {
		return nil, err
	}
	inv.register(s, entry.Tags[topicTag])
	return s, nil
}

// accessKeys describes the access key of an IAM user.
func (inv *invocation) accessKeys(ctx context.Context, s *rotation.Secret, entry aws.Entry) error {
	if err := refuseDatabase(entry); err != nil {
		return err
	}
	c, err := inv.rotatedUser(ctx, entry)
	if err != nil {
		return err
	}
	return inv.describeKeys(s, entry, c)
}

// describeKeys describes the access key of the user for whom an entry is.
func (inv *invocation) describeKeys(s *rotation.Secret, entry aws.Entry, c claim) error {
	fields, err := inv.fields(entry)
	if err != nil {
		return err
	}
	s.Issuer = inv.aws.AccessKeys(aws.AccessKeysConfig{User: c.user})
	s.Store = inv.aws.SecretsManager(aws.SecretsManagerConfig{Name: cmp.Or(entry.ARN, entry.Name), Fields: fields, Tags: tagsFor(c.user)})
	inv.claim = c
	return nil
}

// refuseDatabase rejects an entry that looks like a database's, unless it says
// that it's for an access key: by its tags, or because it holds one. Otherwise
// an access key would be made for whichever IAM user has the database user's
// name, and written next to the password.
func refuseDatabase(entry aws.Entry) error {
	field := databaseField(entry)
	if field == "" || entry.Tags[userTag] != "" || entry.Tags[accessKeyTag] != "" || holdsAccessKey(entry) {
		return nil
	}
	return &configError{rota.WithRemedies(fmt.Errorf("secret %s has a field %s, so it looks like a database's, and no access key is written to it", entry.Name, field),
		rota.Outside(fmt.Sprintf("a field engine with the value postgres, mysql or mariadb, or, if it is for an access key, the tag %s with the IAM user's name", userTag)))}
}

// databaseFields are the fields, in lower case, that AWS's database secrets and
// those of its examples have, and access keys don't.
var databaseFields = []string{"engine", "host", "dbname", "password", "masterarn", "dbinstanceidentifier", "dbclusteridentifier"}

// databaseField is the entry's first field that a database's has; "" for none.
func databaseField(entry aws.Entry) string {
	for _, name := range entry.Values.Names() {
		if slices.Contains(databaseFields, strings.ToLower(name)) {
			return name
		}
	}
	return ""
}

func holdsAccessKey(entry aws.Entry) bool {
	return slices.ContainsFunc(accessKeyFieldPairs, func(p [2]string) bool {
		return entry.Values.Field(p[0]) != "" && entry.Values.Field(p[1]) != ""
	})
}

// accessKeyFieldPairs are common names for the two fields of an access key.
var accessKeyFieldPairs = [][2]string{
	{"AccessKey", "SecretKey"},
	{rota.FieldAccessKeyID, rota.FieldSecretAccessKey},
	{"AccessKeyId", "SecretAccessKey"},
	{"aws_access_key_id", "aws_secret_access_key"},
	{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"},
	{"access-key-id", "secret-access-key"},
	{"access-id", "secret-key"},
	{"access_key", "secret_key"},
	{"accessKeyId", "secretAccessKey"},
	{"accesskey", "secretkey"},
}

// fields returns the names of the access key's fields: those from a tag or the
// environment, else a common pair that exists, else the first pair.
func (inv *invocation) fields(entry aws.Entry) (rota.FieldMap, error) {
	id := cmp.Or(entry.Tags[accessKeyTag], inv.settings.accessKeyField)
	secret := cmp.Or(entry.Tags[secretKeyTag], inv.settings.secretKeyField)
	switch {
	case (id == "") != (secret == ""):
		return rota.FieldMap{}, &configError{fmt.Errorf("secret %s: the tags %s and %s must be set together", entry.Name, accessKeyTag, secretKeyTag)}
	case id != "" && id == secret:
		return rota.FieldMap{}, &configError{rota.WithRemedies(fmt.Errorf("secret %s: the tags %s and %s name the same field", entry.Name, accessKeyTag, secretKeyTag), rota.Outside("two names"))}
	case id == "":
		id, secret = accessKeyFieldPairs[0][0], accessKeyFieldPairs[0][1]
		for _, p := range accessKeyFieldPairs {
			if entry.Values.Field(p[0]) != "" && entry.Values.Field(p[1]) != "" {
				id, secret = p[0], p[1]
				break
			}
		}
	}
	return rota.ParseFieldMap(map[string]string{id: rota.FieldAccessKeyID, secret: rota.FieldSecretAccessKey}, nil)
}

// requireFields names the fields that an entry lacks.
func requireFields(entry aws.Entry, names ...string) error {
	var lacks []string
	for _, n := range names {
		if entry.Values.Field(n) == "" {
			lacks = append(lacks, n)
		}
	}
	if len(lacks) == 0 {
		return nil
	}
	return &configError{errors.New("secret " + entry.Name + ": its value lacks the fields " + strings.Join(lacks, ", "))}
}
