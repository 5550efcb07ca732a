package aws

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync/atomic"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"

	"github.com/rota-dev/rota"
)

// How many calls per second Rota makes at most. AWS's limits apply to the whole
// account and region, so this leaves room for other callers.
const (
	secretWritesPerSecond = 15 // of AWS's 50 for PutSecretValue, UpdateSecret and UpdateSecretVersionStage together
	secretListsPerSecond  = 20 // of AWS's 50 and more
	iamPerSecond          = 5  // AWS publishes none
	snsPerSecond          = 10 // of AWS's 300 and more
	ssmReadsPerSecond     = 10 // of AWS's 40 for GetParameter
	ssmWritesPerSecond    = 2  // of AWS's 3 for PutParameter
)

// budget is a connection's share of its account's budget.
type budget struct {
	rota.Budget
	connection  string // its name
	region      string
	role        string // the role that's assumed, "" for none
	credentials awssdk.CredentialsProvider

	asked atomic.Pointer[string] // the account, once AWS has named it
}

// learn records which account AWS says the connection belongs to.
func (b *budget) learn(account string) { b.asked.Store(&account) }

// owner returns whose budget a call draws on: the account, if it's known from the
// role, the SDK or a response from AWS. Until then, connections with the same
// access key share a budget. It makes no call to find out.
func (b *budget) owner(ctx context.Context) string {
	if parts := strings.Split(b.role, ":"); len(parts) == 6 && parts[4] != "" {
		return parts[4]
	}
	if account := b.asked.Load(); account != nil {
		return *account
	}
	if b.credentials != nil {
		if c, err := b.credentials.Retrieve(ctx); err == nil { // otherwise the call itself reports the error
			return cmp.Or(c.AccountID, c.AccessKeyID, b.connection)
		}
	}
	return b.connection
}

// limit makes every attempt of every call wait for the budget. As middleware, no
// call can bypass it, and the SDK's retries count too.
func (b *budget) limit(stack *middleware.Stack) error {
	wait := middleware.FinalizeMiddlewareFunc("RotaBudget", func(
		ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler,
	) (middleware.FinalizeOutput, middleware.Metadata, error) {
		if what, perSecond := bucket(awsmiddleware.GetServiceID(ctx), middleware.GetOperationName(ctx)); what != "" {
			if err := b.Take(ctx, b.key(ctx, what), rota.Rate{PerSecond: float64(perSecond), Burst: perSecond}); err != nil {
				return middleware.FinalizeOutput{}, middleware.Metadata{}, fmt.Errorf("waiting for the budget of calls: %w", err)
			}
		}
		return next.HandleFinalize(ctx, in)
	})
	return stack.Finalize.Insert(wait, "Retry", middleware.After)
}

// key returns the budget's key. IAM has one budget for all regions.
func (b *budget) key(ctx context.Context, what string) string {
	if what == "iam" {
		return "aws " + b.owner(ctx) + " iam"
	}
	return "aws " + b.owner(ctx) + " " + b.region + " " + what
}

// bucket returns which limit an operation counts against and its calls per second.
// It returns "" for operations of which AWS allows thousands.
func bucket(service, operation string) (what string, perSecond int) {
	switch service {
	case "IAM":
		return "iam", iamPerSecond
	case "SNS":
		return "sns", snsPerSecond
	case "SSM":
		if operation == "PutParameter" {
			return "ssm writes", ssmWritesPerSecond
		}
		return "ssm reads", ssmReadsPerSecond
	case "Secrets Manager":
		switch operation {
		case "GetSecretValue", "DescribeSecret":
			return "", 0
		case "ListSecretVersionIds", "ListSecrets", "BatchGetSecretValue":
			return "secretsmanager lists", secretListsPerSecond
		}
		return "secretsmanager writes", secretWritesPerSecond
	}
	return "", 0
}
