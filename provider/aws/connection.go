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
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"

	"github.com/rota-dev/rota"
)

const (
	attempts       = 3                // of each call that's safe to retry
	maxBackoff     = 5 * time.Second  // between two attempts
	requestTimeout = 30 * time.Second // of one attempt; the context's deadline can be earlier
)

// Config is Rota's identity at AWS, and its region. Everything is optional except
// the region, which can also come from the environment or the profile.
type Config struct {
	// Region is the region to call and to sign for, such as "eu-central-1".
	// Defaults to what the SDK finds.
	Region string
	// Profile is a profile of the shared AWS configuration files.
	Profile string
	// RoleARN is a role to assume with the credentials found.
	RoleARN string
	// Chain lists roles to assume on the way, each with the previous one's
	// credentials. RoleARN is assumed with the last one's.
	Chain []string
	// ExternalID is passed with RoleARN, if the role's trust policy requires it.
	ExternalID string
	// SessionName is the name of the role's session in CloudTrail. Defaults to
	// "rota".
	SessionName string
	// Endpoint is the address of an emulator for all services. Defaults to AWS
	// itself.
	Endpoint string
	// AccessKeyID, SecretAccessKey and SessionToken are static credentials.
	// Defaults to the SDK's usual chain: environment, files, container, instance.
	AccessKeyID, SecretAccessKey, SessionToken string
	// Budget rate-limits the calls to the account. Connections with the same
	// budget and account share it. If neither the role nor the SDK names the
	// account, it's known after the first GetCallerIdentity; until then,
	// connections with the same access key share it. Defaults to a budget for
	// this connection alone.
	Budget rota.Budget
}

// Connection is one identity at AWS. Everything made from it shares a call budget.
// It's safe for concurrent use.
type Connection struct {
	name   string
	region string
	role   string   // the role that was configured, "" for none
	chain  []string // the roles to assume on the way to it
	budget *budget

	endpoint string // of the emulator, "" for AWS itself

	externalID string        // passed with the role
	patience   time.Duration // the longest wait between two attempts

	iam     *iam.Client
	sts     *sts.Client
	secrets *secretsmanager.Client
	s3      *s3.Client
	sns     *sns.Client
	ssm     *ssm.Client
	rds     *rds.Client

	login awssdk.CredentialsProvider // Rota's own credentials, before it assumes any role

	mu sync.Mutex
	me *identity // Rota's identity, once AWS was asked
}

// New returns a connection. Errors show its name as "aws <name>". It reads the
// SDK's configuration files but makes no calls.
func New(ctx context.Context, name string, cfg Config) (*Connection, error) {
	return connect(ctx, name, cfg, awshttp.NewBuildableClient().WithTimeout(requestTimeout), maxBackoff)
}

// connect is New with a given HTTP client and longest wait between attempts.
func connect(ctx context.Context, name string, cfg Config, client config.HTTPClient, backoff time.Duration) (*Connection, error) {
	if (cfg.AccessKeyID == "") != (cfg.SecretAccessKey == "") {
		return nil, rota.WithRemedies(fmt.Errorf("aws %s: access key id and secret access key go together", name), rota.Configure("", "set both or neither"))
	}
	if cfg.RoleARN == "" && (cfg.ExternalID != "" || cfg.SessionName != "" || len(cfg.Chain) > 0) {
		return nil, rota.WithRemedies(fmt.Errorf("aws %s: an external id, a session name or a chain without a role", name), rota.Configure("", "role_arn"))
	}
	options := []func(*config.LoadOptions) error{
		config.WithHTTPClient(client),
		config.WithLogger(logging.Nop{}), // the SDK must not log to stderr; errors are returned
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
				// The SDK creates its client before it knows the endpoint.
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
	loaded.APIOptions = append(loaded.APIOptions, calls.limit, survive, bound)
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
		rds:     rds.NewFromConfig(loaded),
		login:   login,
		// An emulator has one host name for all buckets.
		s3: s3.NewFromConfig(loaded, func(o *s3.Options) { o.UsePathStyle = cfg.Endpoint != "" }),
	}, nil
}

// assume returns credentials for a role, assumed with the configuration's.
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

// system returns the connection's name in errors.
func (c *Connection) system() string { return "aws " + c.name }
