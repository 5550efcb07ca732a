package aws

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// maxBatch is how many secrets BatchGetSecretValue accepts.
const maxBatch = 20

// Holder is a secret whose current value contains an access key's id.
type Holder struct {
	KeyID  string
	Secret string // its name
	Region string
	// IDField and SecretField are the names of the id and the secret access key
	// in the value's JSON object; empty if the value isn't an object, or the
	// names can't be determined.
	IDField, SecretField string
}

var (
	keyID     = regexp.MustCompile(`AKIA[A-Z0-9]{12,}`)
	secretKey = regexp.MustCompile(`^[A-Za-z0-9/+=]{40}$`)
)

// FindKeys reads the current value of every secret in the region and returns those
// that contain an access key's id. Values are compared in memory and never kept.
// Secrets that can't be read are reported as problems.
func (c *Connection) FindKeys(ctx context.Context) (found []Holder, problems []error, err error) {
	secrets, err := c.listSecrets(ctx)
	if err != nil {
		return nil, nil, err
	}
	unread := &unread{c: c}
	batch := true
	for part := range slices.Chunk(secrets, maxBatch) {
		values := map[string]string{}
		if batch {
			err := c.batchRead(ctx, part, values, unread)
			if batch = !isDenied(codeOf(err)); err != nil && batch {
				return nil, nil, c.fail("read secrets", err)
			}
		}
		if !batch {
			c.readEach(ctx, part, values, unread)
		}
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		for _, s := range part {
			found = append(found, holders(awssdk.ToString(s.Name), c.region, values[awssdk.ToString(s.ARN)])...)
		}
	}
	return found, unread.problems(), nil
}

// listSecrets lists the secrets that aren't scheduled for deletion.
func (c *Connection) listSecrets(ctx context.Context) ([]types.SecretListEntry, error) {
	var secrets []types.SecretListEntry
	pages := secretsmanager.NewListSecretsPaginator(c.secrets, &secretsmanager.ListSecretsInput{MaxResults: awssdk.Int32(100)},
		func(o *secretsmanager.ListSecretsPaginatorOptions) { o.StopOnDuplicateToken = true })
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, c.fail("list secrets", err)
		}
		secrets = append(secrets, page.SecretList...)
	}
	return secrets, nil
}

// batchRead reads the current values of some secrets, by ARN.
func (c *Connection) batchRead(ctx context.Context, secrets []types.SecretListEntry, values map[string]string, unread *unread) error {
	in := &secretsmanager.BatchGetSecretValueInput{}
	for _, s := range secrets {
		in.SecretIdList = append(in.SecretIdList, awssdk.ToString(s.ARN))
	}
	for {
		out, err := c.secrets.BatchGetSecretValue(ctx, in)
		if err != nil {
			return err
		}
		for _, v := range out.SecretValues {
			values[awssdk.ToString(v.ARN)] = awssdk.ToString(v.SecretString)
		}
		for _, e := range out.Errors {
			if code := awssdk.ToString(e.ErrorCode); code != "ResourceNotFoundException" { // no value yet
				unread.add(awssdk.ToString(e.SecretId), provider.Said(code))
			}
		}
		if next := awssdk.ToString(out.NextToken); next == "" || next == awssdk.ToString(in.NextToken) {
			return nil
		}
		in.NextToken = out.NextToken
	}
}

// readEach reads the current values of some secrets, one call at a time.
func (c *Connection) readEach(ctx context.Context, secrets []types.SecretListEntry, values map[string]string, unread *unread) {
	for _, s := range secrets {
		out, err := c.secrets.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: s.ARN, VersionStage: awssdk.String("AWSCURRENT")})
		switch code := codeOf(err); {
		case err == nil:
			values[awssdk.ToString(s.ARN)] = awssdk.ToString(out.SecretString)
		case code != "ResourceNotFoundException":
			unread.add(awssdk.ToString(s.Name), classify(err).Err.Error())
		}
	}
}

// holders returns the access keys whose ids are in a secret's value.
func holders(name, region, value string) []Holder {
	ids := slices.Compact(slices.Sorted(slices.Values(keyID.FindAllString(value, -1))))
	if len(ids) == 0 {
		return nil
	}
	texts := map[string]string{}
	if doc, err := parseDocument(value); err == nil {
		texts = doc.texts()
	}
	var found []Holder
	for _, id := range ids {
		h := Holder{KeyID: id, Secret: name, Region: region}
		for _, field := range slices.Sorted(maps.Keys(texts)) {
			if texts[field] == id && h.IDField == "" {
				h.IDField = field
			}
		}
		if h.IDField != "" {
			h.SecretField = secretField(texts)
		}
		found = append(found, h)
	}
	return found
}

// secretField returns the one field that looks like a secret access key. If there
// are several, it's the one with a telling name; "" if there isn't exactly one.
func secretField(texts map[string]string) string {
	var like, named []string
	for _, field := range slices.Sorted(maps.Keys(texts)) {
		if secretKey.MatchString(texts[field]) {
			like = append(like, field)
			if strings.Contains(strings.ToLower(field), "secret") {
				named = append(named, field)
			}
		}
	}
	switch {
	case len(like) == 1:
		return like[0]
	case len(named) == 1:
		return named[0]
	}
	return ""
}

// unread collects the secrets that couldn't be read, by reason.
type unread struct {
	c       *Connection
	reasons map[string][]string
}

func (u *unread) add(secret, why string) {
	if u.reasons == nil {
		u.reasons = map[string][]string{}
	}
	u.reasons[why] = append(u.reasons[why], secret)
}

// problems returns an error for each reason, with the first secret's name.
func (u *unread) problems() []error {
	var all []error
	for _, why := range slices.Sorted(maps.Keys(u.reasons)) {
		secrets := u.reasons[why]
		what := "secret " + provider.Said(secrets[0])
		if n := len(secrets) - 1; n > 0 {
			what += fmt.Sprintf(" and %d more", n)
		}
		all = append(all, rota.WithRemedies(fmt.Errorf("%s: %s could not be read: %s", u.c.system(), what, why), rota.Outside("allow secretsmanager:GetSecretValue and kms:Decrypt, or do without --search-secrets")))
	}
	return all
}
