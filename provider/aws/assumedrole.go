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

	"rota"
)

// The limits of a session: STS's own, and what is left of them where one role
// assumes the next.
const (
	MinSession   = 15 * time.Minute
	MaxSession   = 12 * time.Hour
	MaxChained   = time.Hour
	sessionOfOwn = "rota"
)

// AssumeRoleConfig says which role's sessions are issued, and what they may do.
type AssumeRoleConfig struct {
	RoleARN string
	// Duration is how long a session lasts: 15 minutes to 12 hours, an hour at
	// most where a role assumes another. Defaults to an hour. The role's own
	// maximum may be shorter.
	Duration time.Duration
	// SessionName is how the sessions are called in CloudTrail: 2 to 64 letters,
	// digits and =,.@_-. Defaults to "rota".
	SessionName string
	ExternalID  string   // where the role's trust policy asks for it
	Policy      string   // a policy document that a session is held to, "" for none
	PolicyARNs  []string // managed policies that it is held to
	Tags        map[string]string
	// TransitiveTags are the keys of those tags that the next role keeps.
	TransitiveTags []string
	// Chain are roles to be assumed before, one after another.
	Chain []string
}

// assumedRole issues sessions of a role: an access key with a session token,
// which ends by itself and can't be ended before.
type assumedRole struct {
	connection *Connection
	cfg        AssumeRoleConfig
}

var (
	_ rota.Issuer      = (*assumedRole)(nil)
	_ rota.Preflighter = (*assumedRole)(nil)
	_ Role             = (*assumedRole)(nil)
)

// AssumeRole is the issuer of a role's sessions.
func (c *Connection) AssumeRole(cfg AssumeRoleConfig) rota.Issuer {
	if cfg.Duration == 0 {
		cfg.Duration = time.Hour
	}
	if cfg.SessionName == "" {
		cfg.SessionName = sessionOfOwn
	}
	return &assumedRole{connection: c, cfg: cfg}
}

// Traits implements [rota.Issuer]. There may be any number of sessions.
func (a *assumedRole) Traits() rota.Traits {
	return rota.Traits{Kind: "session of a role", IssuerChooses: true, TestSuccesses: 1, Lifetime: a.cfg.Duration}
}

// CredentialID implements [rota.Issuer].
func (a *assumedRole) CredentialID(c rota.Credential) string { return c.Field(rota.FieldAccessKeyID) }

// Create implements [rota.Issuer]. A lost answer leaves a session that nobody
// knows, and that ends.
func (a *assumedRole) Create(ctx context.Context, _ rota.CreateRequest) (rota.Credential, error) {
	client := a.connection.sts
	for _, role := range a.cfg.Chain {
		session, err := a.assume(ctx, client, &sts.AssumeRoleInput{
			RoleArn: &role, RoleSessionName: &a.cfg.SessionName, DurationSeconds: seconds(MinSession),
		})
		if err != nil {
			return rota.Credential{}, err
		}
		client = a.connection.stsWith(session)
	}
	return a.assume(ctx, client, a.input())
}

func (a *assumedRole) input() *sts.AssumeRoleInput {
	in := &sts.AssumeRoleInput{
		RoleArn: &a.cfg.RoleARN, RoleSessionName: &a.cfg.SessionName, DurationSeconds: seconds(a.cfg.Duration),
		ExternalId: given(a.cfg.ExternalID), Policy: given(a.cfg.Policy), TransitiveTagKeys: a.cfg.TransitiveTags,
	}
	for _, arn := range a.cfg.PolicyARNs {
		in.PolicyArns = append(in.PolicyArns, types.PolicyDescriptorType{Arn: &arn})
	}
	for _, key := range slices.Sorted(maps.Keys(a.cfg.Tags)) {
		in.Tags = append(in.Tags, types.Tag{Key: &key, Value: new(a.cfg.Tags[key])})
	}
	return in
}

// assume assumes one role. Only the SDK's own signer and endpoint differ
// between the roles of a chain.
func (a *assumedRole) assume(ctx context.Context, client *sts.Client, in *sts.AssumeRoleInput) (rota.Credential, error) {
	op := "assume role " + *in.RoleArn
	out, err := client.AssumeRole(ctx, in)
	if err != nil {
		e := a.connection.fail(op, err)
		if failed, ok := errors.AsType[*rota.Error](e); ok && isDenied(codeOf(err)) {
			failed.Hint = "sts:AssumeRole on the role for Rota, and Rota's identity in the role's trust policy, with the external id if it asks for one"
		}
		return rota.Credential{}, e
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

// Set implements [rota.Issuer]: a session is valid from the start.
func (a *assumedRole) Set(context.Context, rota.SetRequest) error { return nil }

// Test implements [rota.Issuer]: STS says whose session it is.
func (a *assumedRole) Test(ctx context.Context, r rota.TestRequest) error {
	return rota.Sanitize(a.test(ctx, r.Credential), r.Credential)
}

func (a *assumedRole) test(ctx context.Context, c rota.Credential) error {
	op := "test the session " + a.CredentialID(c) + " of " + a.cfg.RoleARN
	who, err := whoIs(ctx, a.connection.stsWith(c))
	if err != nil {
		return a.connection.failLogin(op, err)
	}
	if !who.isSession(a.cfg.RoleARN) {
		return a.connection.refuse(op, "the right role, or another credential in the store", fmt.Errorf("it is none of the role's: it belongs to %s", oneLine(who.arn)))
	}
	return nil
}

// Delete implements [rota.Issuer]: a session ends by itself.
func (a *assumedRole) Delete(context.Context, rota.RetireRequest) error { return nil }

// Preflight implements [rota.Preflighter]: a session for 15 minutes is made, and
// forgotten.
func (a *assumedRole) Preflight(ctx context.Context) []rota.Finding {
	check := "assume role " + a.cfg.RoleARN
	if _, err := a.Create(ctx, rota.CreateRequest{}); err != nil {
		return []rota.Finding{failed(check, err)}
	}
	return []rota.Finding{{OK: true, Check: check, Detail: "for " + rota.FormatDuration(a.cfg.Duration)}}
}

// On implements [Role].
func (a *assumedRole) On() *Connection { return a.connection }

// Permissions implements [Role]. What the roles of a chain need is for their
// own policies to say.
func (a *assumedRole) Permissions(context.Context, Place) []Permission {
	first := a.cfg.RoleARN
	if len(a.cfg.Chain) > 0 {
		first = a.cfg.Chain[0]
	}
	needs := []reason{{"sts:AssumeRole", "makes the next session"}}
	if len(a.cfg.Tags) > 0 && len(a.cfg.Chain) == 0 {
		needs = append(needs, reason{"sts:TagSession", "gives the session its tags"})
	}
	return Permission{ID: "AssumeRole", Resource: first}.each(needs...)
}

// isSession tells whether the identity is a session of that role.
func (i identity) isSession(roleARN string) bool {
	// arn:aws:sts::111122223333:assumed-role/name/session, without the role's path
	parts, role := strings.SplitN(i.arn, ":", 6), strings.SplitN(roleARN, ":", 6)
	if len(parts) != 6 || len(role) != 6 || parts[2] != "sts" || parts[4] != role[4] {
		return false
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(parts[5], "assumed-role/"), "/")
	return strings.HasPrefix(parts[5], "assumed-role/") && strings.EqualFold(name, role[5][strings.LastIndexByte(role[5], '/')+1:])
}

func seconds(d time.Duration) *int32 { return new(int32(d / time.Second)) }

// given is nil for what is not given.
func given(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
