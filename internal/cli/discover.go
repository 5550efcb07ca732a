package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/provider/aws"
)

func (a *app) discoverCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "discover", Short: "List the credentials in a system", Args: noArgs, Annotations: inPlace(placeNowhere),
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.discoverAWSCommand())
	return c
}

// discoverOptions are the flags of rota discover aws.
type discoverOptions struct {
	connections, roles []string
	externalID, region string
	maxAge             string
	limit              time.Duration // maxAge
	searchSecrets      bool
	write, output      string
}

func (a *app) discoverAWSCommand() *cobra.Command {
	var o discoverOptions
	c := &cobra.Command{
		Use:   "aws",
		Short: "List IAM users' access keys: age, last use, what holds them, which are overdue",
		Long: `Lists the access keys of all IAM users: how old they are, when, where and by which
service they were last used, and which secret of rota.yaml manages them. Active
keys older than --max-age come first. Covers the accounts of all aws connections
in rota.yaml, or only those given with --connection or --role-arn; without
rota.yaml, the account that the AWS CLI would use. A failure in one account stops
no other, but makes the exit code 1.

With --search-secrets it also READS THE VALUE OF EVERY SECRET in Secrets Manager
that it's allowed to read, to find the ids of the keys in them. The values are
compared in memory and kept nowhere; each read is an entry in CloudTrail.

With --write FILE it proposes a rota.yaml for the keys that nothing manages yet.
It never changes an existing file, or anything in AWS.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.discoverAWS(c.Context(), o) },
	}
	f := c.Flags()
	f.StringSliceVar(&o.connections, "connection", nil, "only these aws `connections` of rota.yaml")
	f.StringSliceVar(&o.roles, "role-arn", nil, "assume these `roles` instead of using rota.yaml's connections")
	f.StringVar(&o.externalID, "external-id", "", "the external `id` for --role-arn")
	f.StringVar(&o.region, "region", "", "the `region` for --role-arn, or without rota.yaml (default AWS_REGION)")
	f.StringVar(&o.maxAge, "max-age", "90d", "the maximum `age` of an active key")
	f.BoolVar(&o.searchSecrets, "search-secrets", false, "read the values in Secrets Manager, to find what holds the keys")
	f.StringVar(&o.write, "write", "", "write a proposed rota.yaml to a new `file`, or - for standard output")
	f.StringVarP(&o.output, "output", "o", "table", "output format: table, json or csv")
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json", "csv"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (a *app) discoverAWS(ctx context.Context, o discoverOptions) error {
	var err error
	switch {
	case o.output != "table" && o.output != "json" && o.output != "csv":
		return rota.WithRemedies(usage("--output %s: no such output", o.output), rota.Command("table, json, csv"))
	case len(o.connections) > 0 && len(o.roles) > 0:
		return usage("--connection and --role-arn can't be combined")
	case o.externalID != "" && len(o.roles) == 0:
		return usage("--external-id requires --role-arn")
	}
	if o.output == "json" {
		a.output = o.output // errors too
	}
	if o.limit, err = rota.ParseDuration(o.maxAge); err != nil || o.limit <= 0 {
		return rota.WithRemedies(usage("--max-age %s: not an age", o.maxAge), rota.Command("90d"))
	}
	if o.write != "" && o.write != "-" {
		if _, err := os.Lstat(o.write); err == nil {
			return rota.WithRemedies(usage("%s already exists and is never overwritten", o.write), rota.Command("another name, and copy what you want"))
		}
	}
	file, connections, accounts, err := a.discoverSources(ctx, o)
	if err != nil {
		return err
	}
	accounts = append(accounts, a.lookAtAccounts(ctx, connections, o)...)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	doc := a.discovered(ctx, file, accounts, o)
	switch o.write {
	case "":
		err = a.printDiscovered(doc, o)
	case "-":
		for _, x := range doc.Accounts {
			a.tellProblems(x)
		}
		err = a.propose(file, connections, doc, o)
	default:
		err = errors.Join(a.printDiscovered(doc, o), a.propose(file, connections, doc, o))
	}
	if err != nil {
		return err
	}
	for _, x := range doc.Accounts {
		if x.Error != "" || len(x.Problems) > 0 {
			return silently(exitFailed)
		}
	}
	return nil
}

// discoverSources opens the connections to search. Those that can't be
// opened become failed accounts. The file is nil if none is used.
func (a *app) discoverSources(ctx context.Context, o discoverOptions) (*config.File, []*aws.Connection, []account, error) {
	if len(o.roles) > 0 {
		connections, err := roleConnections(ctx, o)
		return nil, connections, nil, err
	}
	file, err := a.catalog.Load(a.configPath())
	switch {
	case errors.Is(err, os.ErrNotExist) && a.configFlag == "" && len(o.connections) == 0:
		c, err := aws.New(ctx, "aws", aws.Config{Region: o.region})
		return nil, []*aws.Connection{c}, nil, refused(err)
	case err != nil:
		return nil, nil, nil, refused(err)
	case o.region != "":
		return nil, nil, nil, rota.WithRemedies(usage("--region: the connections of %s have their own", file.Path), rota.Command("--role-arn, or --connection"))
	}
	opened, failed := file.Connections(ctx, config.Environment{LookupEnv: a.lookupEnv}, aws.ConnectionKind, o.connections)
	var connections []*aws.Connection
	for _, c := range opened {
		connections = append(connections, c.(*aws.Connection))
	}
	var names []string
	var accounts []account
	for _, c := range connections {
		names = append(names, c.Name())
	}
	for name, err := range failed {
		names = append(names, name)
		accounts = append(accounts, account{connections: []string{name}, err: err})
	}
	if err := known("aws connection", o.connections, names); err != nil {
		return nil, nil, nil, err
	}
	if len(names) == 0 {
		return nil, nil, nil, rota.WithRemedies(usage("%s has no aws connection", file.Path), rota.Command("--role-arn"))
	}
	return file, connections, accounts, nil
}

// roleConnections are connections named after their roles' accounts.
func roleConnections(ctx context.Context, o discoverOptions) ([]*aws.Connection, error) {
	var connections []*aws.Connection
	taken := map[string]int{}
	for _, arn := range o.roles {
		number, ok := aws.AccountIn(arn)
		if !ok || !strings.Contains(arn, ":role/") {
			return nil, rota.WithRemedies(usage("--role-arn %s: not the ARN of a role", arn), rota.Command("arn:aws:iam::111122223333:role/rota"))
		}
		name := "account-" + number
		if taken[name]++; taken[name] > 1 {
			name = fmt.Sprintf("%s-%d", name, taken[name])
		}
		c, err := aws.New(ctx, name, aws.Config{Region: o.region, RoleARN: arn, ExternalID: o.externalID})
		if err != nil {
			return nil, refused(err)
		}
		connections = append(connections, c)
	}
	return connections, nil
}
