package cli

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/provider/aws"
)

func (a *app) policyCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "policy", Short: "Print the permissions Rota needs in a system", Args: noArgs, Annotations: inPlace(placeNowhere),
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.policyAWSCommand())
	return c
}

// policyOptions are the flags of rota policy aws.
type policyOptions struct {
	connections, secrets []string
	account              string
	function             bool
	duty                 aws.Function
	noCreate, noCheck    bool
	statementIDs, split  bool
	output               string
}

func (a *app) policyAWSCommand() *cobra.Command {
	var o policyOptions
	c := &cobra.Command{
		Use:   "aws",
		Short: "Print the least-privilege IAM policy for rota.yaml",
		Long: `Prints the IAM policy that allows what rota.yaml makes Rota do and nothing else,
with users, secrets and topics named by ARN. If rota.yaml has a single aws
connection without a role, the output is one policy document, ready for

  aws iam create-policy --policy-name rota --policy-document file:///dev/stdin

With more connections, or with roles, it's one JSON object that maps each
connection's name to a document; "@caller" is the document for the identity that
runs Rota and assumes the roles.

The account and users' paths are looked up in AWS. With --account, nothing is
looked up. --output text says why each action is needed.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.policyAWS(c.Context(), o) },
	}
	f := c.Flags()
	f.StringSliceVar(&o.connections, "connection", nil, "only what these aws `connections` need")
	f.StringSliceVar(&o.secrets, "secret", nil, "only what these `secrets` need")
	f.StringVar(&o.account, "account", "", "the account `number`, so that AWS isn't asked")
	f.BoolVar(&o.function, "function", false, "also what a Lambda function that runs Rota needs")
	f.StringVar(&o.duty.Config, "function-config", "", "where the function's rota.yaml is: an `address` such as s3://bucket/rota.yaml or ssm:///rota/config; omit it, or give a path, if it's packed with the function")
	f.StringSliceVar(&o.duty.Masters, "master-secret", nil, "names or ARNs of `secrets` that other secrets refer to as masterarn")
	f.StringVar(&o.duty.DeadLetters, "dead-letter-queue", "", "the `ARN` of the function's dead-letter queue")
	f.BoolVar(&o.noCreate, "no-create", false, "leave out what's only needed to create a secret that doesn't exist yet")
	f.BoolVar(&o.noCheck, "no-check", false, "leave out what only rota check needs")
	f.BoolVar(&o.statementIDs, "statement-ids", false, "add an id (Sid) to each statement")
	f.BoolVar(&o.split, "split", false, fmt.Sprintf("split documents larger than the %d characters a managed policy allows", aws.MaxPolicy))
	f.StringVarP(&o.output, "output", "o", "json", "output format: json, or text with the reasons")
	_ = c.RegisterFlagCompletionFunc("secret", a.completeNames)
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"json", "text"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

var accountNumber = regexp.MustCompile(`^[0-9]{12}$`)

func (a *app) policyAWS(ctx context.Context, o policyOptions) error {
	if o.output != "json" && o.output != "text" {
		return rota.WithRemedies(usage("--output %s: no such output", o.output), rota.Command("json, text"))
	}
	if o.account != "" && !accountNumber.MatchString(o.account) {
		return rota.WithRemedies(usage("--account %s: not an account number", o.account), rota.Command("its twelve digits"))
	}
	if !o.function && (o.duty.Config != "" || o.duty.DeadLetters != "" || len(o.duty.Masters) > 0) {
		return rota.WithRemedies(usage("--function-config, --master-secret and --dead-letter-queue only apply to a function"), rota.Command("--function"))
	}
	file, err := a.loadConfig()
	if err != nil {
		return err
	}
	if err := known("secret", o.secrets, file.Names()); err != nil {
		return err
	}
	holders, err := permissionHolders(ctx, file, config.Environment{LookupEnv: a.lookupEnv}, o.secrets)
	if err != nil {
		return refused(err)
	}
	needs, err := a.gatherNeeds(ctx, holders, o)
	if err != nil {
		return err
	}
	if o.output == "text" {
		a.printNeeds(needs)
		return nil
	}
	return a.printPolicies(needs, o)
}

// known rejects a name that doesn't exist.
func known(what string, given, all []string) error {
	for _, name := range given {
		if slices.Contains(all, name) {
			continue
		}
		remedies := rota.Command(strings.Join(all, ", "))
		if near := access.Nearest(name, all); near != "" {
			remedies = rota.Correct(near)
		}
		return rota.WithRemedies(usage("no %s %s in rota.yaml", what, name), remedies)
	}
	return nil
}

// printPolicies prints the documents: a single one as it is, several by name.
func (a *app) printPolicies(all []holderNeeds, o policyOptions) error {
	documents := map[string]aws.Policy{}
	for _, h := range all {
		policy := aws.NewPolicy(h.needs, o.statementIDs)
		parts := []aws.Policy{policy}
		size, err := policy.Size()
		if err != nil {
			return err
		}
		switch {
		case size > aws.MaxPolicy && o.split:
			if parts, err = policy.Split(aws.MaxPolicy); err != nil {
				return refused(err)
			}
		case size > aws.MaxPolicy:
			a.note("%s", hint.Add(fmt.Sprintf("rota: the policy for %s has %d characters, but a managed policy allows %d", h.title, size, aws.MaxPolicy), rota.Command("--split, or --secret for a part")))
		}
		for i, part := range parts {
			name := h.name
			if len(parts) > 1 {
				name = fmt.Sprintf("%s-%d", h.name, i+1)
			}
			documents[name] = part
		}
	}
	if len(documents) == 1 && all[0].name != callerName {
		for _, only := range documents {
			return a.document(only)
		}
	}
	return a.document(documents)
}

// printNeeds says why each action is needed.
func (a *app) printNeeds(all []holderNeeds) {
	for i, h := range all {
		if i > 0 {
			a.printf("")
		}
		a.printf("%s", a.paint(a.outStyle, bold, "for "+h.title))
		var rows [][]cell
		seen := map[string]bool{}
		for _, n := range h.needs {
			why := n.Why
			switch n.For {
			case aws.ToCreate:
				why += " (first rotation)"
			case aws.ToCheck:
				why += " (rota check only)"
			}
			if n.Holder != "" {
				why += " (" + n.Holder + " needs it, not Rota: it isn't in any policy here)"
			}
			if len(n.Condition) > 0 {
				why += "; only where " + conditionText(n.Condition)
			}
			row := []string{n.Action, n.Resource, why}
			if key := strings.Join(row, "\x00"); !seen[key] {
				seen[key] = true
				rows = append(rows, cells(row...))
			}
		}
		a.table([]string{"ACTION", "RESOURCE", "WHY"}, rows)
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
