package aws

import (
	"cmp"
	"context"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"rota"
)

// permissions asks IAM's policy simulator whether Rota may do these actions to
// the resource. Where it may not ask that, one warning says so.
func (c *Connection) permissions(ctx context.Context, me identity, resource string, actions ...string) []rota.Finding {
	list := strings.Join(actions, ", ")
	if strings.HasSuffix(me.arn, ":root") {
		return []rota.Finding{{OK: true, Check: "permissions", Detail: "the account's root may do everything"}}
	}
	source := me.principal()
	if c.role != "" {
		source = c.role // with its path, which a session's ARN lacks
	}
	unknown := func(why, hint string) []rota.Finding {
		return []rota.Finding{{
			Warning: true, Check: "permissions",
			Detail: "whether Rota may do all it needs can't be told without changing anything: " + why,
			Hint:   hint + "see to it yourself that " + cmp.Or(source, me.arn) + " may do " + list,
		}}
	}
	if source == "" {
		return unknown("the policy simulator knows users and roles only, and "+me.arn+" is neither", "")
	}
	allow := "allow iam:SimulatePrincipalPolicy on " + source + " to Rota, or "
	out, err := c.iam.SimulatePrincipalPolicy(ctx, &iam.SimulatePrincipalPolicyInput{
		PolicySourceArn: &source,
		ActionNames:     actions,
		ResourceArns:    []string{resource},
		MaxItems:        awssdk.Int32(1000),
	})
	if err != nil {
		return unknown(classify(err).Err.Error(), allow)
	}
	var findings []rota.Finding
	for _, result := range out.EvaluationResults {
		action := awssdk.ToString(result.EvalActionName)
		if result.EvalDecision == types.PolicyEvaluationDecisionTypeAllowed {
			findings = append(findings, rota.Finding{OK: true, Check: "may " + action})
		} else {
			findings = append(findings, rota.Finding{
				Check: "may " + action, Detail: "IAM's policy simulator says " + string(result.EvalDecision),
				Hint: "allow " + action + " on " + resource + " to " + source,
			})
		}
	}
	if len(findings) == 0 {
		return unknown("the policy simulator said nothing", "")
	}
	return findings
}

// principal is the user or role whose policies hold for the identity, as an
// ARN; "" for others. A role's path is not to be had from its session.
func (i identity) principal() string {
	parts := strings.SplitN(i.arn, ":", 6)
	if len(parts) != 6 {
		return ""
	}
	if parts[2] == "iam" && strings.HasPrefix(parts[5], "user/") {
		return i.arn
	}
	// arn:aws:sts::111122223333:assumed-role/name/session
	if resource := strings.Split(parts[5], "/"); parts[2] == "sts" && resource[0] == "assumed-role" && len(resource) == 3 {
		return strings.Join([]string{parts[0], parts[1], "iam", "", parts[4], "role/" + resource[1]}, ":")
	}
	return ""
}
