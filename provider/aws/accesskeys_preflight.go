package aws

import (
	"context"
	"errors"
	"fmt"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	awsarn "github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Preflight implements [rota.Preflighter].
func (k *accessKeys) Preflight(ctx context.Context) []rota.Finding {
	if err := k.named("preflight"); err != nil {
		return []rota.Finding{provider.Failed("IAM user", err)}
	}
	me, findings := k.connection.preflightIdentity(ctx)
	if me.arn == "" {
		return findings
	}
	findings = append(findings, k.connection.preflightLogin(ctx)...)
	resource, found := k.preflightUser(ctx, me)
	findings = append(findings, found)
	if !found.OK && !found.Warning {
		return findings // the other checks would fail for the same reason
	}
	findings = append(findings, k.preflightKeys(ctx)...)
	return append(findings, k.connection.permissions(ctx, me, k.needs(resource))...)
}

// preflightUser checks that the user exists, and returns its ARN.
func (k *accessKeys) preflightUser(ctx context.Context, me identity) (string, rota.Finding) {
	check := "user " + k.user
	guess := k.connection.placeOf(me).arn("iam", "user/"+k.user)
	out, err := k.connection.iam.GetUser(ctx, &iam.GetUserInput{UserName: &k.user})
	switch {
	case isDenied(codeOf(err)): // rotation doesn't need it
		return guess, rota.Finding{Warning: true, Check: check, Detail: "Rota may not look at it",
			Remedies: rota.Outside("allow iam:GetUser on " + guess + " to Rota; only this check needs it")}
	case err != nil:
		return guess, k.failed(check, k.connection.fail("get user "+k.user, err))
	case out.User == nil:
		return guess, k.failed(check, k.connection.fail("get user "+k.user, errUnreadable))
	}
	arn := awssdk.ToString(out.User.Arn)
	if strings.EqualFold(arn, me.arn) {
		return arn, rota.Finding{Warning: true, Check: check, Detail: "Rota itself uses a key of this user",
			Remedies: rota.Outside("another identity for Rota: with this one it would retire the key that it works with")}
	}
	return arn, rota.Finding{OK: true, Check: check, Detail: arn}
}

// failed returns the finding for an error. If IAM says that something doesn't
// exist, it's the user.
func (k *accessKeys) failed(check string, err error) rota.Finding {
	f := provider.Failed(check, err)
	if errors.Is(err, rota.ErrNotFound) {
		f.Remedies = rota.Outside("aws iam create-user --user-name " + k.user + ", or the right user in rota.yaml")
	}
	return f
}

// preflightKeys checks that the keys can be listed, and advises on how to do
// without them. It doesn't check for a free place: that depends on whose keys
// they are, which only the store knows.
func (k *accessKeys) preflightKeys(ctx context.Context) []rota.Finding {
	check := "access keys of user " + k.user
	issued, err := k.List(ctx)
	if err != nil {
		return []rota.Finding{k.failed(check, err)}
	}
	var keys []string
	for _, key := range issued {
		state := "inactive"
		if key.Active {
			state = "active"
		}
		keys = append(keys, key.ID+" "+state)
	}
	detail := fmt.Sprintf("%d of %d", len(issued), maxKeys)
	if len(keys) > 0 {
		detail += ": " + strings.Join(keys, ", ")
	}
	findings := []rota.Finding{{OK: true, Check: check, Detail: detail}}
	if !k.noAdvice {
		findings = append(findings, k.advise(ctx, issued))
	}
	return findings
}

// partition returns an ARN's AWS partition: "aws", "aws-cn", "aws-us-gov".
func partition(arn string) string {
	if parsed, err := awsarn.Parse(arn); err == nil && parsed.Partition != "" {
		return parsed.Partition
	}
	return "aws"
}
