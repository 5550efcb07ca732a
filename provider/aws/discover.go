package aws

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// discoverOptions are the flags of rota discover aws.
type discoverOptions struct {
	roles              []string
	externalID, region string
	maxAge             string
	limit              time.Duration // maxAge
	searchSecrets      bool
}

// discovery is rota discover aws.
func discovery() provider.Discovery {
	o := discoverOptions{maxAge: "90d"}
	return provider.Discovery{
		Summary: "List IAM users' access keys: age, last use, what holds them, which are overdue",
		Help: `Lists the access keys of all IAM users: how old they are, when, where and by which
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
		Options: []provider.Option{
			{Name: "role-arn", Usage: "assume these `roles` instead of using rota.yaml's connections", Value: &o.roles},
			{Name: "external-id", Usage: "the external `id` for --role-arn", Value: &o.externalID},
			{Name: "region", Usage: "the `region` for --role-arn, or without rota.yaml (default AWS_REGION)", Value: &o.region},
			{Name: "max-age", Usage: "the maximum `age` of an active key", Value: &o.maxAge},
			{Name: "search-secrets", Usage: "read the values in Secrets Manager, to find what holds the keys", Value: &o.searchSecrets},
		},
		Validate:  o.validate,
		Elsewhere: func() bool { return len(o.roles) > 0 },
		Discover:  o.discover,
	}
}

func (o *discoverOptions) validate() error {
	if o.externalID != "" && len(o.roles) == 0 {
		return errors.New("--external-id requires --role-arn")
	}
	var err error
	if o.limit, err = rota.ParseDuration(o.maxAge); err != nil || o.limit <= 0 {
		return rota.WithRemedies(fmt.Errorf("--max-age %s: not an age", o.maxAge), rota.Command("--max-age 90d"))
	}
	return nil
}

func (o *discoverOptions) discover(ctx context.Context, r provider.DiscoveryRequest) (provider.Discovered, error) {
	connections, accounts, err := o.sources(ctx, r.File)
	if err != nil {
		return provider.Discovered{}, err
	}
	accounts = append(accounts, lookAtAccounts(ctx, connections, o.searchSecrets)...)
	if ctx.Err() != nil {
		return provider.Discovered{}, ctx.Err()
	}
	doc := o.discovered(ctx, r, accounts)
	found := provider.Discovered{Document: doc, CSV: doc.csv(), Problems: problemsOf(accounts), Proposal: proposalOf(r.File, connections, doc)}
	found.Header, found.Rows, found.Summary = doc.table()
	return found, nil
}

// sources returns the connections to search. Those that couldn't be opened are
// returned as failed accounts.
func (o *discoverOptions) sources(ctx context.Context, file *provider.DiscoveryFile) ([]*Connection, []account, error) {
	if len(o.roles) > 0 {
		connections, err := o.roleConnections(ctx)
		return connections, nil, err
	}
	if file == nil {
		c, err := New(ctx, "aws", Config{Region: o.region})
		return []*Connection{c}, nil, err
	}
	if o.region != "" {
		return nil, nil, rota.WithRemedies(fmt.Errorf("--region: the connections of %s have their own", file.Path), rota.Command("--role-arn", "--connection"))
	}
	var connections []*Connection
	for _, c := range file.Connections {
		connections = append(connections, c.(*Connection))
	}
	var accounts []account
	for name, err := range file.Failed {
		accounts = append(accounts, account{connections: []string{name}, err: err})
	}
	return connections, accounts, nil
}

// roleConnections returns connections named after their roles' accounts.
func (o *discoverOptions) roleConnections(ctx context.Context) ([]*Connection, error) {
	var connections []*Connection
	taken := map[string]int{}
	for _, arn := range o.roles {
		number, ok := AccountIn(arn)
		if !ok || !strings.Contains(arn, ":role/") {
			return nil, rota.WithRemedies(fmt.Errorf("--role-arn %s: not the ARN of a role", arn), rota.Command("--role-arn arn:aws:iam::111122223333:role/rota"))
		}
		name := "account-" + number
		if taken[name]++; taken[name] > 1 {
			name = fmt.Sprintf("%s-%d", name, taken[name])
		}
		c, err := New(ctx, name, Config{Region: o.region, RoleARN: arn, ExternalID: o.externalID})
		if err != nil {
			return nil, err
		}
		connections = append(connections, c)
	}
	return connections, nil
}
