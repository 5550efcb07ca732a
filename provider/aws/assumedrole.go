package aws

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// AssumedRoleConfig says which role's sessions are issued.
type AssumedRoleConfig struct {
	// RoleARN is the role whose credentials are issued.
	RoleARN string
	// Chain lists roles to assume on the way, each with the previous one's
	// credentials: the first with Rota's own identity, RoleARN with the last
	// one's.
	Chain []string
	// Duration is how long a session lasts: 15 minutes to 12 hours, or at most
	// one hour if a role is assumed with another role's credentials. Defaults to
	// an hour.
	Duration time.Duration
	// SessionName is the session's name in CloudTrail. Defaults to "rota".
	SessionName string
	// ExternalID is passed with RoleARN, if the role's trust policy requires it.
	ExternalID string
	// Policy is a session policy in JSON, and PolicyARNs are managed policies.
	// The session can only do what both they and the role allow.
	Policy     string
	PolicyARNs []string
	// Tags are session tags. Those in TransitiveTagKeys are passed on to the
	// sessions of roles that are assumed with this one.
	Tags              map[string]string
	TransitiveTagKeys []string
}

// AssumedRoleTraits returns the issuer's traits for sessions of that length.
func AssumedRoleTraits(duration time.Duration) rota.Traits {
	return rota.Traits{Kind: "role session", IssuerChooses: true, TestSuccesses: 3, Lifetime: duration}
}

// assumedRole issues temporary keys of a role, which expire.
type assumedRole struct {
	connection *Connection
	cfg        AssumedRoleConfig
}

var (
	_ rota.Issuer      = (*assumedRole)(nil)
	_ rota.Preflighter = (*assumedRole)(nil)
)

// AssumedRole returns an issuer of a role's sessions. The credentials have the
// fields access_key_id, secret_access_key, session_token and expiration.
func (c *Connection) AssumedRole(cfg AssumedRoleConfig) (rota.Issuer, error) {
	if cfg.Duration == 0 {
		cfg.Duration = DefaultSession
	}
	if cfg.SessionName == "" {
		cfg.SessionName = defaultSessionName
	}
	err := cfg.Validate()
	if cfg.RoleARN == "" {
		err = errors.Join(errors.New("role_arn: is missing"), err)
	}
	if c.role != "" && cfg.Duration > ChainedSession {
		err = errors.Join(err, chained(cfg.Duration))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: assume role: %w", c.system(), err)
	}
	return &assumedRole{connection: c, cfg: cfg}, nil
}

// Traits implements [rota.Issuer].
func (a *assumedRole) Traits() rota.Traits { return AssumedRoleTraits(a.cfg.Duration) }

// CredentialID implements [rota.Issuer]: the temporary access key's id.
func (a *assumedRole) CredentialID(c rota.Credential) string { return c.Field(rota.FieldAccessKeyID) }

// Create implements [rota.Issuer]. If the response is lost, there's nothing to
// clean up: nothing uses that session, and it expires.
func (a *assumedRole) Create(ctx context.Context, _ rota.CreateRequest) (rota.Credential, error) {
	client := a.connection.sts
	for _, arn := range a.cfg.Chain {
		out, err := client.AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: &arn, RoleSessionName: &a.cfg.SessionName})
		c, err := a.issued(arn, out, err)
		if err != nil {
			return rota.Credential{}, err
		}
		client = a.connection.stsWith(c)
	}
	out, err := client.AssumeRole(ctx, a.input(), func(o *sts.Options) { o.Retryer = awssdk.NopRetryer{} })
	return a.issued(a.cfg.RoleARN, out, err)
}

// input returns the request for the session to issue.
func (a *assumedRole) input() *sts.AssumeRoleInput {
	in := &sts.AssumeRoleInput{
		RoleArn: &a.cfg.RoleARN, RoleSessionName: &a.cfg.SessionName, TransitiveTagKeys: a.cfg.TransitiveTagKeys,
		DurationSeconds: new(int32(a.cfg.Duration / time.Second)),
	}
	if a.cfg.ExternalID != "" {
		in.ExternalId = &a.cfg.ExternalID
	}
	if a.cfg.Policy != "" {
		in.Policy = &a.cfg.Policy
	}
	for _, arn := range a.cfg.PolicyARNs {
		in.PolicyArns = append(in.PolicyArns, types.PolicyDescriptorType{Arn: &arn})
	}
	for _, key := range slices.Sorted(maps.Keys(a.cfg.Tags)) {
		in.Tags = append(in.Tags, types.Tag{Key: &key, Value: new(a.cfg.Tags[key])})
	}
	return in
}

// issued returns the credential in AssumeRole's response.
func (a *assumedRole) issued(arn string, out *sts.AssumeRoleOutput, err error) (rota.Credential, error) {
	op := "assume role " + arn
	if err != nil {
		return rota.Credential{}, a.refused(op, arn, err)
	}
	c := out.Credentials
	if c == nil || awssdk.ToString(c.AccessKeyId) == "" || awssdk.ToString(c.SecretAccessKey) == "" || awssdk.ToString(c.SessionToken) == "" || c.Expiration == nil {
		return rota.Credential{}, a.connection.fail(op, errUnreadable)
	}
	return rota.NewCredential(map[string]string{
		rota.FieldAccessKeyID:     *c.AccessKeyId,
		rota.FieldSecretAccessKey: *c.SecretAccessKey,
		rota.FieldSessionToken:    *c.SessionToken,
		rota.FieldExpiration:      c.Expiration.UTC().Format(time.RFC3339),
	}), nil
}

// refused is fail with remedies for a role that can't be assumed.
func (a *assumedRole) refused(op, arn string, err error) error {
	e := classify(err)
	e.System, e.Op = a.connection.system(), op
	if code := codeOf(err); isDenied(code) {
		e.Remedies = rota.Outside("allow sts:AssumeRole on " + arn + " to who assumes it, and name them in the role's trust policy, with the external_id that it asks for")
	} else if code == "ValidationError" && strings.Contains(err.Error(), "DurationSeconds") {
		e.Remedies = rota.Outside("a shorter duration, or aws iam update-role --role-name " + arn[strings.LastIndexByte(arn, '/')+1:] + " --max-session-duration; one hour is the most where a role is assumed with another role's credentials")
	}
	return e
}

// Set implements [rota.Issuer]: a session is valid from the start.
func (a *assumedRole) Set(context.Context, rota.SetRequest) error { return nil }

// Test implements [rota.Issuer]: STS says whose session it is.
func (a *assumedRole) Test(ctx context.Context, r rota.TestRequest) error {
	return rota.Sanitize(a.test(ctx, r.Credential), r.Credential)
}

func (a *assumedRole) test(ctx context.Context, c rota.Credential) error {
	id := a.CredentialID(c)
	op := "test session " + id + " of role " + a.cfg.RoleARN
	if id == "" || c.Field(rota.FieldSessionToken) == "" {
		return a.connection.refuse(op, "", errors.New("no access key id, or no session token"))
	}
	who, err := whoIs(ctx, a.connection.stsWith(c))
	if err != nil {
		return a.connection.failLogin(op, err)
	}
	if !who.isRole(a.cfg.RoleARN) {
		return a.connection.refuse(op, "the right role_arn, or another credential in the store",
			fmt.Errorf("the session is not the role's: it belongs to %s", provider.Said(who.arn)))
	}
	return nil
}

// Delete implements [rota.Issuer]: a single session can't be revoked.
func (a *assumedRole) Delete(ctx context.Context, _ rota.RetireRequest) error { return ctx.Err() }

// Preflight implements [rota.Preflighter]. It requests a session and discards it,
// because that's the only way to find out whether the role trusts Rota, and for
// how long.
func (a *assumedRole) Preflight(ctx context.Context) []rota.Finding {
	me, findings := a.connection.preflightIdentity(ctx)
	if me.arn == "" {
		return findings
	}
	findings = append(findings, a.connection.preflightLogin(ctx)...)
	check := "assume role " + a.cfg.RoleARN
	c, err := a.Create(ctx, rota.CreateRequest{})
	if err != nil {
		return append(findings, provider.Failed(check, err))
	}
	return append(findings, rota.Finding{OK: true, Check: check, Detail: "for " + rota.FormatDuration(a.cfg.Duration) + "; the session of this check is thrown away, and ends at " + c.Field(rota.FieldExpiration)})
}
