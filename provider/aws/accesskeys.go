package aws

import (
	"context"
	"errors"
	"fmt"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

const (
	// maxKeys is how many access keys, active or not, AWS lets a user have.
	maxKeys = 2
	// settle is how long IAM can take to show a new key in lists.
	settle = 10 * time.Second
)

// AccessKeysConfig names an IAM user.
type AccessKeysConfig struct {
	// User is the user's name, without its path.
	User string
	// Platforms are where the programs that use the key run. Preflight's advice
	// on how to do without a key depends on them.
	Platforms []provider.Platform
	// NoAdvice silences that advice.
	NoAdvice bool
}

// accessKeys issues the access keys of one IAM user. It uses Rota's own identity,
// never the key being rotated.
type accessKeys struct {
	connection *Connection
	user       string
	platforms  []provider.Platform
	noAdvice   bool
}

var (
	_ rota.Issuer      = (*accessKeys)(nil)
	_ rota.Lister      = (*accessKeys)(nil)
	_ rota.UseReporter = (*accessKeys)(nil)
	_ rota.Deactivator = (*accessKeys)(nil)
	_ rota.Preflighter = (*accessKeys)(nil)
)

// AccessKeys returns an issuer for an IAM user's access keys. The credentials have
// the fields access_key_id and secret_access_key.
func (c *Connection) AccessKeys(cfg AccessKeysConfig) rota.Issuer {
	return &accessKeys{connection: c, user: cfg.User, platforms: cfg.Platforms, noAdvice: cfg.NoAdvice}
}

// Traits implements [rota.Issuer].
func (k *accessKeys) Traits() rota.Traits {
	return rota.Traits{Kind: accessKeyKind, IssuerChooses: true, Limit: maxKeys, TestSuccesses: 3, ConsistencyDelay: settle}
}

// CredentialID implements [rota.Issuer]: the access key's id.
func (k *accessKeys) CredentialID(c rota.Credential) string { return c.Field(rota.FieldAccessKeyID) }

// named fails if there's no user name, because IAM would default to the caller.
func (k *accessKeys) named(op string) error {
	if k.user == "" {
		return k.connection.refuse(op, "user: the IAM user's name", errors.New("no user"))
	}
	return nil
}

// namedKey also fails if there's no key id.
func (k *accessKeys) namedKey(op, id string) error {
	if id == "" {
		return k.connection.refuse(op, "", errors.New("no access key id"))
	}
	return k.named(op)
}

// Create implements [rota.Issuer]. The request is never retried: IAM has no
// idempotency token, so retrying a call whose response was lost would create a
// second key.
func (k *accessKeys) Create(ctx context.Context, _ rota.CreateRequest) (rota.Credential, error) {
	op := "create access key for user " + k.user
	if err := k.named(op); err != nil {
		return rota.Credential{}, err
	}
	out, err := k.connection.iam.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: &k.user},
		func(o *iam.Options) { o.Retryer = awssdk.NopRetryer{} })
	if err != nil {
		return rota.Credential{}, k.connection.fail(op, err)
	}
	if out.AccessKey == nil || awssdk.ToString(out.AccessKey.AccessKeyId) == "" || awssdk.ToString(out.AccessKey.SecretAccessKey) == "" {
		return rota.Credential{}, k.connection.fail(op, errUnreadable)
	}
	return rota.NewCredential(map[string]string{
		rota.FieldAccessKeyID:     *out.AccessKey.AccessKeyId,
		rota.FieldSecretAccessKey: *out.AccessKey.SecretAccessKey,
	}), nil
}

// Set implements [rota.Issuer]: IAM's keys are valid from the start.
func (k *accessKeys) Set(context.Context, rota.SetRequest) error { return nil }

// Test implements [rota.Issuer]. It asks STS whose key it is, which needs no
// permission. AWS refuses a new key for a few seconds, so a refusal has class
// wait. A key that belongs to someone else has class stop.
func (k *accessKeys) Test(ctx context.Context, r rota.TestRequest) error {
	return rota.Sanitize(k.test(ctx, r.Credential), r.Credential)
}

func (k *accessKeys) test(ctx context.Context, c rota.Credential) error {
	id := k.CredentialID(c)
	op := "test access key " + id + " of user " + k.user
	if err := k.namedKey(op, id); err != nil {
		return err
	}
	mine, err := k.connection.identity(ctx)
	if err != nil {
		return k.connection.fail("get caller identity", err)
	}
	who, err := whoIs(ctx, k.connection.stsWith(c))
	if err != nil {
		return k.connection.failLogin(op, err)
	}
	if !who.isUser(mine.account, k.user) {
		return k.connection.refuse(op, "the right user, or another credential in the store",
			fmt.Errorf("the key is not the user's: it belongs to %s", provider.Said(who.arn)))
	}
	return nil
}

// failLogin is fail for a call that was made with the rotated credential.
func (c *Connection) failLogin(op string, err error) error {
	e := classify(err)
	e.System, e.Op = c.system(), op
	a, answered := errors.AsType[*answer](e.Err)
	if answered && isExpired(a.code) {
		e.Class, e.Remedies, a.is = rota.ClassStop, nil, rota.ErrRefused
	}
	if answered && isUnknownKey(a.code) && !isSkew(a.code, a.message) {
		e.Class, e.Remedies, a.is = rota.ClassWait, nil, rota.ErrRefused
	}
	return e
}

// List implements [rota.Lister].
func (k *accessKeys) List(ctx context.Context) ([]rota.Issued, error) {
	op := "list access keys of user " + k.user
	if err := k.named(op); err != nil {
		return nil, err
	}
	issued, err := k.list(ctx)
	return issued, k.connection.fail(op, err)
}

// list is List with AWS's own errors.
func (k *accessKeys) list(ctx context.Context) ([]rota.Issued, error) {
	issued := []rota.Issued{}
	pages := iam.NewListAccessKeysPaginator(k.connection.iam, &iam.ListAccessKeysInput{UserName: &k.user},
		func(o *iam.ListAccessKeysPaginatorOptions) { o.StopOnDuplicateToken = true })
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, key := range page.AccessKeyMetadata {
			if awssdk.ToString(key.AccessKeyId) == "" {
				return nil, errUnreadable
			}
			issued = append(issued, rota.Issued{
				ID: *key.AccessKeyId,
				// Anything not explicitly inactive counts as active.
				Active:    key.Status != types.StatusTypeInactive,
				CreatedAt: awssdk.ToTime(key.CreateDate).UTC(),
			})
		}
	}
	return issued, nil
}

// LastUsed implements [rota.UseReporter]. IAM's records lag by hours. It returns
// no date for a key that was never used.
func (k *accessKeys) LastUsed(ctx context.Context, id string) (rota.Use, error) {
	op := "get last use of access key " + id + " of user " + k.user
	if err := k.namedKey(op, id); err != nil {
		return rota.Use{}, err
	}
	out, err := k.connection.iam.GetAccessKeyLastUsed(ctx, &iam.GetAccessKeyLastUsedInput{AccessKeyId: &id})
	if err != nil {
		return rota.Use{}, k.connection.fail(op, err)
	}
	if out.AccessKeyLastUsed == nil {
		return rota.Use{}, k.connection.fail(op, errUnreadable)
	}
	if out.UserName != nil && *out.UserName != "" && !(identity{arn: "arn:aws:iam:::user/" + *out.UserName}).isUser("", k.user) {
		return rota.Use{}, k.connection.refuse(op, "", fmt.Errorf("the key belongs to user %s", provider.Said(*out.UserName)))
	}
	use := rota.Use{Evidence: rota.EvidenceRecorded}
	if out.AccessKeyLastUsed.LastUsedDate != nil {
		use.At = out.AccessKeyLastUsed.LastUsedDate.UTC()
		use.Detail = where(out.AccessKeyLastUsed)
	}
	return use, nil
}

// where returns the service and region of a key's last use, such as "s3 in
// eu-central-1".
func where(use *types.AccessKeyLastUsed) string {
	service, region := said(use.ServiceName), said(use.Region)
	if service == "" || region == "" {
		return service
	}
	return service + " in " + region
}

// said returns a text from IAM, or "" for N/A.
func said(s *string) string {
	if text := awssdk.ToString(s); text != "N/A" {
		return provider.Said(text)
	}
	return ""
}

// Deactivate implements [rota.Deactivator].
func (k *accessKeys) Deactivate(ctx context.Context, r rota.RetireRequest) error {
	return k.update(ctx, "deactivate", r.CredentialID, types.StatusTypeInactive)
}

// Reactivate implements [rota.Deactivator].
func (k *accessKeys) Reactivate(ctx context.Context, r rota.RetireRequest) error {
	return k.update(ctx, "reactivate", r.CredentialID, types.StatusTypeActive)
}

func (k *accessKeys) update(ctx context.Context, verb, id string, status types.StatusType) error {
	op := verb + " access key " + id + " of user " + k.user
	if err := k.namedKey(op, id); err != nil {
		return err
	}
	_, err := k.connection.iam.UpdateAccessKey(ctx, &iam.UpdateAccessKeyInput{UserName: &k.user, AccessKeyId: &id, Status: status})
	return k.connection.fail(op, err)
}

// Delete implements [rota.Issuer]. It checks the list first, because IAM deletes
// active keys too.
func (k *accessKeys) Delete(ctx context.Context, r rota.RetireRequest) error {
	op := "delete access key " + r.CredentialID + " of user " + k.user
	if err := k.namedKey(op, r.CredentialID); err != nil {
		return err
	}
	issued, err := k.List(ctx)
	if err != nil {
		return err
	}
	for _, key := range issued {
		if key.ID != r.CredentialID {
			continue
		}
		if key.Active {
			// The class is wait because the list can lag behind a deactivation.
			return &rota.Error{System: k.connection.system(), Connection: k.connection.name, Op: op, Class: rota.ClassWait, Remedies: rota.Outside("deactivate it first"),
				Err: fmt.Errorf("the key is active: %w", rota.ErrConflict)}
		}
		_, err := k.connection.iam.DeleteAccessKey(ctx, &iam.DeleteAccessKeyInput{UserName: &k.user, AccessKeyId: &r.CredentialID})
		if codeOf(err) == "NoSuchEntity" {
			return nil
		}
		return k.connection.fail(op, err)
	}
	return nil
}
