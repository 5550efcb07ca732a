package aws

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

const (
	// callerName stands for the identity that runs Rota, if connections assume
	// roles. No connection can have this name.
	callerName = "@caller"
	// placeTimeout limits the first request to AWS.
	placeTimeout = 15 * time.Second
)

var accountNumber = regexp.MustCompile(`^[0-9]{12}$`)

// policyOptions are the flags of rota policy aws.
type policyOptions struct {
	account             string
	function            bool
	duty                Function
	statementIDs, split bool
}

// policy is rota policy aws.
func policy() provider.Policy {
	var o policyOptions
	return provider.Policy{
		Summary: "Print the least-privilege IAM policy for rota.yaml",
		Help: `Prints the IAM policy that allows what rota.yaml makes Rota do and nothing else,
with users, secrets and topics named by ARN. If rota.yaml has a single aws
connection without a role, the output is one policy document, ready for

  aws iam create-policy --policy-name rota --policy-document file:///dev/stdin

With more connections, or with roles, it's one JSON object that maps each
connection's name to a document; "@caller" is the document for the identity that
runs Rota and assumes the roles.

The account and users' paths are looked up in AWS. With --account, nothing is
looked up. --output text says why each action is needed.`,
		Format: "json",
		Options: []provider.Option{
			{Name: "account", Usage: "the account `number`, so that AWS isn't asked", Value: &o.account, Example: "111122223333"},
			{Name: "function", Usage: "also what a Lambda function that runs Rota needs", Value: &o.function},
			{Name: "function-config", Usage: "where the function's rota.yaml is: an `address` such as s3://bucket/rota.yaml or ssm:///rota/config; omit it, or give a path, if it's packed with the function", Value: &o.duty.Config},
			{Name: "master-secret", Usage: "names or ARNs of `secrets` that other secrets refer to as masterarn", Value: &o.duty.Masters},
			{Name: "dead-letter-queue", Usage: "the `ARN` of the function's dead-letter queue", Value: &o.duty.DeadLetters},
			{Name: "statement-ids", Usage: "add an id (Sid) to each statement", Value: &o.statementIDs},
			{Name: "split", Usage: fmt.Sprintf("split documents larger than the %d characters a managed policy allows", MaxPolicy), Value: &o.split},
		},
		Validate: o.validate,
		Grants:   o.grants,
		Document: o.document,
	}
}

func (o *policyOptions) validate() error {
	if o.account != "" && !accountNumber.MatchString(o.account) {
		return rota.WithRemedies(fmt.Errorf("--account %s: not an account number", o.account), rota.Command("--account 111122223333"))
	}
	if !o.function && (o.duty.Config != "" || o.duty.DeadLetters != "" || len(o.duty.Masters) > 0) {
		return rota.WithRemedies(errors.New("--function-config, --master-secret and --dead-letter-queue only apply to a function"), rota.Command("--function"))
	}
	return nil
}

// login is what one identity needs.
type login struct {
	name, title string
	needs       []Permission
}

// grants asks all holders what they need, by connection.
func (o *policyOptions) grants(ctx context.Context, r provider.PolicyRequest) ([]provider.Grant, error) {
	byName := map[string][]PermissionHolder{}
	for _, p := range r.Pieces {
		if h, ok := p.Made.(PermissionHolder); ok {
			byName[h.Connection().Name()] = append(byName[h.Connection().Name()], h)
		}
	}
	names := slices.DeleteFunc(slices.Clone(r.Connections), func(name string) bool { return byName[name] == nil })
	var all []login
	caller := login{name: callerName, title: "the identity that runs Rota"}
	for i, name := range names {
		c := byName[name][0].Connection()
		at, err := o.placeOf(ctx, c, byName[name], r.Note)
		if err != nil {
			return nil, err
		}
		h := login{name: name, title: "connection " + name}
		if c.RoleARN() != "" {
			h.title += ", role " + c.RoleARN()
		}
		for _, holder := range byName[name] {
			h.needs = append(h.needs, holder.Permissions(ctx, at)...)
			if o.function {
				h.needs = append(h.needs, FunctionPermissions(holder, at)...)
			}
		}
		h.needs = append(h.needs, c.CheckPermissions()...)
		all = append(all, h)
		caller.needs = append(caller.needs, c.CallerPermissions()...)
		if i == 0 && o.function {
			needs, err := o.duty.Permissions(at)
			if err != nil {
				return nil, err
			}
			caller.needs = append(caller.needs, needs...)
		}
	}
	switch {
	case len(caller.needs) == 0:
	case len(all) == 1 && len(byName[names[0]][0].Connection().CallerPermissions()) == 0:
		all[0].needs = append(all[0].needs, caller.needs...) // the caller is the connection's identity
	default:
		all = slices.Insert(all, 0, caller)
	}
	var grants []provider.Grant
	for _, h := range append(all, onTheWay(all)...) {
		g := provider.Grant{Name: h.name, Title: h.title}
		for _, need := range h.needs {
			g.Permissions = append(g.Permissions, need.described())
		}
		grants = append(grants, g)
	}
	return grants, nil
}

// onTheWay is what intermediate roles need in a chain of roles: it moves there
// from the roles at the end.
func onTheWay(all []login) []login {
	var roles []login
	for i := range all {
		all[i].needs = slices.DeleteFunc(all[i].needs, func(p Permission) bool {
			if !strings.HasPrefix(p.Holder, "arn:") {
				return false
			}
			at := slices.IndexFunc(roles, func(r login) bool { return r.name == p.Holder })
			if at < 0 {
				at = len(roles)
				roles = append(roles, login{name: p.Holder, title: "role " + p.Holder + ", on the way to another"})
			}
			p.Holder = ""
			roles[at].needs = append(roles[at].needs, p)
			return true
		})
	}
	return roles
}

// placeOf finds out where a connection's resources are. If AWS can't be asked,
// a full ARN in rota.yaml says it too.
func (o *policyOptions) placeOf(ctx context.Context, c *Connection, holders []PermissionHolder, note func(error)) (Place, error) {
	if o.account != "" {
		return c.PlaceIn(o.account), nil
	}
	asking, cancel := context.WithTimeout(ctx, placeTimeout)
	defer cancel()
	at, err := c.Place(asking)
	if err == nil {
		return at, nil
	}
	if ctx.Err() != nil {
		return Place{}, ctx.Err()
	}
	for _, h := range holders {
		for _, need := range h.Permissions(ctx, Place{}) {
			if account, ok := AccountIn(need.Resource); ok {
				note(fmt.Errorf("can't ask AWS who Rota is at connection %s; took account %s from %s", c.Name(), account, need.Resource))
				return c.PlaceIn(account), nil
			}
		}
	}
	return Place{}, rota.WithRemedies(fmt.Errorf("the account of connection %s is unknown: %w", c.Name(), err), rota.Command("--account 111122223333"))
}

// document writes the policies: a single one as it is, several by name.
func (o *policyOptions) document(grants []provider.Grant, note func(error)) ([]byte, error) {
	documents := map[string]Policy{}
	for _, g := range grants {
		var needs []Permission
		for _, p := range g.Permissions {
			needs = append(needs, p.Detail.(Permission))
		}
		whole := NewPolicy(needs, o.statementIDs)
		parts := []Policy{whole}
		size, err := whole.Size()
		if err != nil {
			return nil, err
		}
		switch {
		case size > MaxPolicy && o.split:
			if parts, err = whole.Split(MaxPolicy); err != nil {
				return nil, err
			}
		case size > MaxPolicy:
			note(rota.WithRemedies(fmt.Errorf("the policy for %s has %d characters, but a managed policy allows %d", g.Title, size, MaxPolicy), rota.Command("--split", "--secret NAME")))
		}
		for i, part := range parts {
			name := g.Name
			if len(parts) > 1 {
				name = fmt.Sprintf("%s-%d", g.Name, i+1)
			}
			documents[name] = part
		}
	}
	if len(documents) == 1 && grants[0].Name != callerName {
		for _, only := range documents {
			return only.JSON()
		}
	}
	return indented(documents)
}

// described is the permission as other packages see it.
func (p Permission) described() provider.Permission {
	return provider.Permission{
		Action: p.Action, Resource: p.Resource, Only: conditionText(p.Condition), Why: p.Why, For: p.For, Holder: p.Holder, Detail: p,
	}
}

// conditionText puts a condition block into words.
func conditionText(c map[string]map[string][]string) string {
	var parts []string
	for _, operator := range slices.Sorted(maps.Keys(c)) {
		for _, key := range slices.Sorted(maps.Keys(c[operator])) {
			parts = append(parts, key+" is "+strings.Join(c[operator][key], " or "))
		}
	}
	return strings.Join(parts, " and ")
}
