package aws

import (
	"context"
	"fmt"
	"path"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	awsarn "github.com/aws/aws-sdk-go-v2/aws/arn"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/middleware"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// maxSkew is how far apart the clocks can be before preflight warns. AWS refuses
// signatures that are off by five minutes or more.
const maxSkew = time.Minute

// identity is who a credential belongs to.
type identity struct {
	arn, account string
	skew         time.Duration // AWS's clock minus ours
}

// identity returns Rota's identity at AWS. It never changes, so AWS is asked once.
func (c *Connection) identity(ctx context.Context) (identity, error) {
	c.mu.Lock()
	me := c.me
	c.mu.Unlock()
	if me != nil {
		return *me, nil
	}
	fresh, err := whoIs(ctx, c.sts)
	if err != nil {
		return identity{}, err
	}
	c.mu.Lock()
	c.me = &fresh
	c.mu.Unlock()
	c.budget.learn(fresh.account)
	return fresh, nil
}

var _ provider.Identifier = (*Connection)(nil)

// Identity implements [provider.Identifier]. It returns the account that STS
// reports for the identity at the end of the connection's chain of roles. It
// needs no permission, and asks once in the connection's lifetime.
func (c *Connection) Identity(ctx context.Context) (string, error) {
	me, err := c.identity(ctx)
	if err != nil {
		return "", c.fail("get caller identity", err)
	}
	who, err := awsarn.Parse(me.arn)
	if err != nil {
		return "", c.fail("get caller identity", errUnreadable)
	}
	return accountScope(who.Partition, me.account, c.endpoint), nil
}

// whoIs asks STS whose credentials a client has.
func whoIs(ctx context.Context, client *sts.Client) (identity, error) {
	out, err := client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return identity{}, err
	}
	who := identity{arn: awssdk.ToString(out.Arn), account: awssdk.ToString(out.Account), skew: skewOf(out.ResultMetadata)}
	if who.arn == "" || who.account == "" {
		return identity{}, errUnreadable
	}
	return who, nil
}

// skewOf returns how far AWS's clock is ahead of ours, according to the response's
// Date header.
func skewOf(metadata middleware.Metadata) time.Duration {
	theirs, ok := awsmiddleware.GetServerTime(metadata)
	if !ok {
		return 0
	}
	ours, ok := awsmiddleware.GetResponseAt(metadata)
	if !ok {
		return 0
	}
	return theirs.Sub(ours)
}

// isUser reports whether the identity is that IAM user in that account. User names
// are case-insensitive at AWS.
func (i identity) isUser(account, user string) bool {
	// arn:aws:iam::111122223333:user/path/name
	me, err := awsarn.Parse(i.arn)
	if err != nil || me.Service != "iam" || me.AccountID != account || !strings.HasPrefix(me.Resource, "user/") {
		return false
	}
	return strings.EqualFold(path.Base(me.Resource), user)
}

// sessionRole is the name of the role that an identity is a session of.
func sessionRole(me awsarn.ARN) (name string, ok bool) {
	parts := strings.Split(me.Resource, "/")
	if me.Service != "sts" || len(parts) != 3 || parts[0] != "assumed-role" {
		return "", false
	}
	return parts[1], true
}

// isRole reports whether the identity is a session of that role. A session's ARN
// has the role's name without its path.
func (i identity) isRole(arn string) bool {
	// arn:aws:sts::111122223333:assumed-role/name/session
	me, errMe := awsarn.Parse(i.arn)
	role, errRole := awsarn.Parse(arn)
	if errMe != nil || errRole != nil || me.Partition != role.Partition || me.AccountID != role.AccountID {
		return false
	}
	name, ok := sessionRole(me)
	return ok && name == path.Base(role.Resource)
}

// preflightIdentity checks that AWS knows Rota and that the clocks agree.
func (c *Connection) preflightIdentity(ctx context.Context) (identity, []rota.Finding) {
	check := "who Rota is at AWS"
	me, err := whoIs(ctx, c.sts)
	if err != nil {
		return identity{}, []rota.Finding{provider.Failed(check, c.fail("get caller identity", err))}
	}
	findings := []rota.Finding{{OK: true, Check: check, Detail: me.arn + c.loggedIn(ctx)}}
	if me.skew.Abs() > maxSkew {
		findings = append(findings, rota.Finding{
			Warning: true, Check: "clock",
			Detail:   fmt.Sprintf("this machine's clock is %s away from AWS's", rota.FormatDuration(me.skew.Abs())),
			Remedies: rota.Outside("synchronize the clock (NTP): AWS refuses signatures that are five minutes off"),
		})
	} else {
		findings = append(findings, rota.Finding{OK: true, Check: "clock", Detail: "agrees with AWS's"})
	}
	return me, findings
}
