package aws

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	awsarn "github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"github.com/rota-dev/rota"
)

// permissions asks IAM's policy simulator whether Rota has the permissions that a
// rotation needs. If it isn't allowed to ask, it returns a single warning.
func (c *Connection) permissions(ctx context.Context, me identity, needs []Permission) []rota.Finding {
	needs = slices.DeleteFunc(slices.Clone(needs), func(p Permission) bool { return p.For == ToCheck || p.Holder != "" })
	if strings.HasSuffix(me.arn, ":root") {
		return []rota.Finding{{OK: true, Check: "permissions", Detail: "the account's root may do everything"}}
	}
	source := me.principal()
	if c.role != "" {
		source = c.role // with its path, which a session's ARN lacks
	}
	unknown := func(why, hint string) []rota.Finding {
		var actions []string
		for _, need := range needs {
			actions = append(actions, need.Action)
		}
		return []rota.Finding{{
			Warning: true, Check: "permissions",
			Detail:   "whether Rota may do all it needs can't be told without changing anything: " + why,
			Remedies: rota.Outside(hint + "see to it yourself that " + cmp.Or(source, me.arn) + " may do " + strings.Join(actions, ", ")),
		}}
	}
	if source == "" {
		return unknown("the policy simulator knows users and roles only, and "+me.arn+" is neither", "")
	}
	var findings []rota.Finding
	for _, s := range NewPolicy(needs, false).Statement {
		results, err := c.simulate(ctx, source, s)
		if err != nil {
			return unknown(classify(err).Err.Error(), "allow iam:SimulatePrincipalPolicy on "+source+" to Rota, or ")
		}
		if len(results) == 0 {
			return unknown("the policy simulator said nothing", "")
		}
		for _, result := range results {
			findings = append(findings, found(s, source, result))
		}
	}
	return findings
}

// simulate asks about one statement, with the context keys from its condition.
func (c *Connection) simulate(ctx context.Context, source string, s Statement) ([]types.EvaluationResult, error) {
	in := &iam.SimulatePrincipalPolicyInput{
		PolicySourceArn: &source,
		ActionNames:     s.Action,
		ResourceArns:    s.Resource,
		MaxItems:        awssdk.Int32(1000),
	}
	for _, operator := range slices.Sorted(maps.Keys(s.Condition)) {
		for _, key := range slices.Sorted(maps.Keys(s.Condition[operator])) {
			kind := types.ContextKeyTypeEnumString
			if strings.HasPrefix(operator, "For") {
				kind = types.ContextKeyTypeEnumStringList
			}
			in.ContextEntries = append(in.ContextEntries, types.ContextEntry{
				ContextKeyName: &key, ContextKeyType: kind, ContextKeyValues: s.Condition[operator][key],
			})
		}
	}
	out, err := c.iam.SimulatePrincipalPolicy(ctx, in)
	if err != nil {
		return nil, err
	}
	return out.EvaluationResults, nil
}

// found interprets the simulator's answer about one action. A KMS key's own
// policy, which the simulator doesn't see, may allow what the identity's doesn't.
func found(s Statement, source string, result types.EvaluationResult) rota.Finding {
	action := awssdk.ToString(result.EvalActionName)
	if result.EvalDecision == types.PolicyEvaluationDecisionTypeAllowed {
		return rota.Finding{OK: true, Check: "may " + action}
	}
	f := rota.Finding{
		Check: "may " + action, Detail: "IAM's policy simulator says " + string(result.EvalDecision),
		Remedies: append(rota.Outside("allow "+action+" on "+strings.Join(s.Resource, ", ")+" to "+source), rota.Command("rota policy aws")...),
	}
	if strings.HasPrefix(action, "kms:") {
		f.Warning = true
		f.Detail += ", and does not look at the key's own policy"
	}
	return f
}

// principal returns the ARN of the user or role whose policies apply to the
// identity, "" for others. A session's ARN doesn't contain the role's path.
func (i identity) principal() string {
	me, err := awsarn.Parse(i.arn)
	if err != nil {
		return ""
	}
	if me.Service == "iam" && strings.HasPrefix(me.Resource, "user/") {
		return i.arn
	}
	name, ok := sessionRole(me)
	if !ok {
		return ""
	}
	return awsarn.ARN{Partition: me.Partition, Service: "iam", AccountID: me.AccountID, Resource: "role/" + name}.String()
}
