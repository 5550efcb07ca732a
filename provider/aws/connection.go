package aws

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"

	"github.com/rota-dev/rota"
)

const (
	attempts       = 3                // of each call that is safe to repeat
	maxBackoff     = 5 * time.Second  // between two attempts
	requestTimeout = 30 * time.Second // of one attempt; the context may be shorter
)

// Config says who Rota is at AWS and where. Everything is optional but the
// region, which may also come from the environment or the profile.
type Config struct {
	// Region is the region of Secrets Manager and of the signatures, such as
	// "eu-central-1". Defaults to what the SDK finds.
	Region string
	// Profile is a profile of the shared AWS configuration files.
	Profile string
	// RoleARN is a role to assume with the credentials that were found.
	RoleARN string
	// Chain are roles to assume on the way, each with the credentials of the one
	// before; RoleARN is assumed with the last one's.
	Chain []string
	// ExternalID goes with RoleARN where the role's trust policy asks for it.
	ExternalID string
	// SessionName is how the role's session is called in CloudTrail. Defaults
	// to "rota".
	SessionName string
	// Endpoint is the address of an emulator that plays every service. Defaults
	// to AWS itself.
	Endpoint string
	// AccessKeyID, SecretAccessKey and SessionToken are static credentials.
	// Defaults to the SDK's usual chain: environment, files, container, instance.
	AccessKeyID, SecretAccessKey, SessionToken string
	// Budget holds the calls that the account allows: connections with the same
	// budget and account share them. Where neither the role nor the SDK names
	// the account, it is known from the first GetCallerIdentity on; until then
	// those with one access key share. Defaults to a budget of the connection
	// alone.
	Budget rota.Budget
}

// Connection is one identity at AWS. All that is made from it shares a budget of
// calls. It may be used by several goroutines.
type Connection struct {
	name   string
	region string
	role   string   // the role that was configured, "" for none
	chain  []string // the roles that are assumed on the way to it
	budget *budget

	endpoint string // of the emulator that plays AWS, "" for AWS itself

	externalID string        // that goes with the role
	patience   time.Duration // the most to wait between two tries of anything

	iam     *iam.Client
	sts     *sts.Client
	secrets *secretsmanager.Client
	s3      *s3.Client
	sns     *sns.Client
	ssm     *ssm.Client

	login awssdk.CredentialsProvider // what Rota logs in with, before any role

	mu sync.Mutex
	me *identity // who Rota is, once asked
}

// New makes a connection under the name that errors show ("aws <name>"). It
// reads the SDK's configuration files and calls nothing outside.
func New(ctx context.Context, name string, cfg Config) (*Connection, error) {
	return connect(ctx, name, cfg, awshttp.NewBuildableClient().WithTimeout(requestTimeout), maxBackoff)
}

// connect is New over any HTTP client, and with any patience between attempts.
func connect(ctx context.Context, name string, cfg Config, client config.HTTPClient, backoff time.Duration) (*Connection, error) {
	if (cfg.AccessKeyID == "") != (cfg.SecretAccessKey == "") {
		return nil, rota.WithRemedies(fmt.Errorf("aws %s: access key id and secret access key go together", name), rota.Configure("", "set both or neither"))
	}
	if cfg.RoleARN == "" && (cfg.ExternalID != "" || cfg.SessionName != "" || len(cfg.Chain) > 0) {
		return nil, rota.WithRemedies(fmt.Errorf("aws %s: an external id, a session name or a chain without a role", name), rota.Configure("", "role_arn"))
	}
	options := []func(*config.LoadOptions) error{
		config.WithHTTPClient(client),
		config.WithLogger(logging.Nop{}), // stderr is not the SDK's; what matters comes back as an error
		config.WithRetryer(func() awssdk.Retryer { return newRetryer(backoff) }),
	}
	if cfg.Region != "" {
		options = append(options, config.WithRegion(cfg.Region))
	}
	if cfg.Profile != "" {
		options = append(options, config.WithSharedConfigProfile(cfg.Profile))
	}
	if cfg.Endpoint != "" {
		options = append(options, config.WithBaseEndpoint(cfg.Endpoint),
			config.WithWebIdentityRoleCredentialOptions(func(o *stscreds.WebIdentityRoleOptions) {
				// The SDK makes its client before it knows the endpoint.
				o.Client = sts.New(sts.Options{BaseEndpoint: &cfg.Endpoint, Region: cmp.Or(cfg.Region, "us-east-1"), HTTPClient: client, Retryer: newRetryer(backoff)})
			}))
	}
	if cfg.AccessKeyID != "" {
		options = append(options, config.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(cfg.AccessKeyID, cfg.SecretAccessKey, cfg.SessionToken)))
	}
	loaded, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("aws %s: %w", name, err)
	}
	if loaded.Region == "" {
		return nil, rota.WithRemedies(fmt.Errorf("aws %s: no region", name), rota.Configure("", "region: eu-central-1, or AWS_REGION"))
	}
	calls := &budget{Budget: cfg.Budget, connection: name, region: loaded.Region, role: cfg.RoleARN, credentials: loaded.Credentials}
	if cfg.Budget == nil {
		calls.Budget = rota.NewLocalBudget()
	}
	loaded.APIOptions = append(loaded.APIOptions, calls.limit, survive)
	login := loaded.Credentials
	for _, role := range cfg.Chain {
		loaded.Credentials = assume(loaded, role, cfg.SessionName, "")
	}
	if cfg.RoleARN != "" {
		loaded.Credentials = assume(loaded, cfg.RoleARN, cfg.SessionName, cfg.ExternalID)
	}
	return &Connection{
		name:       name,
		region:     loaded.Region,
		role:       cfg.RoleARN,
		chain:      cfg.Chain,
		endpoint:   awssdk.ToString(loaded.BaseEndpoint),
		externalID: cfg.ExternalID,
		patience:   backoff,
		budget:     calls,

		iam:     iam.NewFromConfig(loaded),
		sts:     sts.NewFromConfig(loaded),
		secrets: secretsmanager.NewFromConfig(loaded),
		sns:     sns.NewFromConfig(loaded),
		ssm:     ssm.NewFromConfig(loaded),
		login:   login,
		// An emulator has one host name for all buckets.
		s3: s3.NewFromConfig(loaded, func(o *s3.Options) { o.UsePathStyle = cfg.Endpoint != "" }),
	}, nil
}

// assume logs in as a role, with the credentials that the configuration has.
func assume(cfg awssdk.Config, role, sessionName, externalID string) awssdk.CredentialsProvider {
	return awssdk.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg), role, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = cmp.Or(sessionName, defaultSessionName)
		if externalID != "" {
			o.ExternalID = &externalID
		}
	}))
}

func newRetryer(backoff time.Duration) awssdk.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = attempts
		o.MaxBackoff = backoff
	})
}

// system is the connection's name in errors.
func (c *Connection) system() string { return "aws " + c.name }
