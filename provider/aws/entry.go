package aws

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	awsarn "github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/rota-dev/rota"
)

// Entry describes a secret in Secrets Manager.
type Entry struct {
	Name, ARN string
	Tags      map[string]string
	// Rotates means that Secrets Manager's own rotation is enabled.
	Rotates bool
	// Values are the strings, numbers and booleans in the current version's JSON
	// object, all as text; zero if there is no current version or no object.
	Values rota.Credential
}

// Entry reads a secret by its name or ARN. It returns [rota.ErrNotFound] if the
// secret doesn't exist.
func (c *Connection) Entry(ctx context.Context, id string) (Entry, error) {
	s := &secretStore{connection: c, cfg: SecretsManagerConfig{Name: id}}
	out, err := s.look(ctx)
	if err != nil {
		return Entry{}, err
	}
	if out == nil {
		return Entry{}, c.refuse(s.op("describe"), "the secret's right name or ARN, in the region "+c.region, rota.ErrNotFound)
	}
	e := Entry{Name: awssdk.ToString(out.Name), ARN: awssdk.ToString(out.ARN), Tags: tagsOf(out), Rotates: awssdk.ToBool(out.RotationEnabled)}
	current := holder(out, rota.LabelCurrent)
	if current == "" {
		return e, nil
	}
	doc, err := s.read(ctx, current)
	if err != nil && !errors.Is(err, rota.ErrNotFound) {
		return Entry{}, err
	}
	e.Values = rota.NewCredential(doc.scalars())
	return e, nil
}

func tagsOf(out *secretsmanager.DescribeSecretOutput) map[string]string {
	tags := map[string]string{}
	for _, t := range out.Tags {
		tags[awssdk.ToString(t.Key)] = awssdk.ToString(t.Value)
	}
	return tags
}

// scalars returns the members that are strings, numbers or booleans, as text.
func (d document) scalars() map[string]string {
	values := d.texts()
	for _, m := range d.members {
		raw := d.text[m.start:m.end]
		var number json.Number
		if raw == "true" || raw == "false" || raw[0] != '"' && json.Unmarshal([]byte(raw), &number) == nil && number != "" {
			values[m.name] = raw
		}
	}
	return values
}

// Holds reports whether a store is the one for a Secrets Manager secret, given by
// name or ARN.
func Holds(store rota.Store, id string) bool {
	s, ok := store.(*secretStore)
	if !ok {
		return false
	}
	mine, theirs := s.cfg.Name, id
	if mine == theirs {
		return true
	}
	if !strings.HasPrefix(theirs, "arn:") {
		mine, theirs = theirs, mine
	}
	return !strings.HasPrefix(mine, "arn:") && nameOf(theirs, s.connection.region) == mine
}

// nameOf returns the name in a secret's ARN, without the hyphen and six characters
// that AWS appends; "" if it isn't an ARN in that region.
func nameOf(arn, region string) string {
	const suffix = 7
	parsed, err := awsarn.Parse(arn) // arn:aws:secretsmanager:region:account:secret:name-abc123
	name, isSecret := strings.CutPrefix(parsed.Resource, "secret:")
	if err != nil || !isSecret || parsed.Region != region || len(name) <= suffix {
		return ""
	}
	return name[:len(name)-suffix]
}

// Tagger is implemented by Secrets Manager stores. Tags are a small amount of
// non-secret state next to the versions, for callers without a database.
type Tagger interface {
	// Tags returns all tags; none if the secret doesn't exist.
	Tags(ctx context.Context) (map[string]string, error)
	// SetTag sets a tag. If the secret doesn't exist, it's created empty. A value
	// can have up to 256 characters: letters, digits, blanks and + - = . _ : / @.
	SetTag(ctx context.Context, key, value string) error
	// RemoveTag removes a tag. A missing tag isn't an error.
	RemoveTag(ctx context.Context, key string) error
}

var _ Tagger = (*secretStore)(nil)

// Tags implements [Tagger].
func (s *secretStore) Tags(ctx context.Context) (map[string]string, error) {
	out, err := s.look(ctx)
	if err != nil || out == nil {
		return nil, err
	}
	return tagsOf(out), nil
}

// SetTag implements [Tagger].
func (s *secretStore) SetTag(ctx context.Context, key, value string) error {
	tag := func() error {
		_, err := s.connection.secrets.TagResource(ctx, &secretsmanager.TagResourceInput{
			SecretId: &s.cfg.Name, Tags: []types.Tag{{Key: &key, Value: &value}},
		})
		return err
	}
	err := tag()
	if _, missing := errors.AsType[*types.ResourceNotFoundException](err); missing {
		if err := s.putEmpty(ctx, true); err != nil {
			return err
		}
		err = tag()
	}
	return s.fail("tag", err)
}

// RemoveTag implements [Tagger].
func (s *secretStore) RemoveTag(ctx context.Context, key string) error {
	_, err := s.connection.secrets.UntagResource(ctx, &secretsmanager.UntagResourceInput{SecretId: &s.cfg.Name, TagKeys: []string{key}})
	if _, missing := errors.AsType[*types.ResourceNotFoundException](err); missing {
		return nil
	}
	return s.fail("untag", err)
}

type rotationTokenKey struct{}

// WithRotationToken returns a store that puts values with the token that Secrets
// Manager gave to the rotation. Secrets in other accounts require it as proof.
func WithRotationToken(ctx context.Context, token string) context.Context {
	return context.WithValue(ctx, rotationTokenKey{}, token)
}

func rotationToken(ctx context.Context) *string {
	if token, _ := ctx.Value(rotationTokenKey{}).(string); token != "" {
		return &token
	}
	return nil
}
