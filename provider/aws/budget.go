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

// Calls a second that Rota allows itself. AWS's limits hold for the whole
// account and region, so that everybody else's calls need room as well.
const (
	secretWritesPerSecond = 15 // of AWS's 50 for PutSecretValue, UpdateSecret and UpdateSecretVersionStage together
	secretListsPerSecond  = 20 // of AWS's 50 and more
	iamPerSecond          = 5  // AWS publishes none
	snsPerSecond          = 10 // of AWS's 300 and more
	ssmReadsPerSecond     = 10 // of AWS's 40 for GetParameter
	ssmWritesPerSecond    = 2  // of AWS's 3 for PutParameter
)

// budget is a connection's part in the budget of its account.
type budget struct {
	rota.Budget
	connection  string // its name
	region      string
	role        string // the one that is assumed, "" for none
	credentials awssdk.CredentialsProvider

	asked atomic.Pointer[string] // the account, once AWS has named it
}

// learn notes which account AWS says the connection is of.
func (b *budget) learn(account string) { b.asked.Store(&account) }

// owner names whose budget a call draws on: the account, as the role or the SDK
// has it or AWS has named it. Until it does, connections with one access key
// share at least. No call is made to find out.
func (b *budget) owner(ctx context.Context) string {
	if parts := strings.Split(b.role, ":"); len(parts) == 6 && parts[4] != "" {
		return parts[4]
	}
	if account := b.asked.Load(); account != nil {
		return *account
	}
	if b.credentials != nil {
		if c, err := b.credentials.Retrieve(ctx); err == nil { // else the call itself says what is wrong
			return cmp.Or(c.AccountID, c.AccessKeyID, b.connection)
		}
	}
	return b.connection
}

// limit makes every attempt of every call wait for its turn: no call can
// forget it, and the SDK's retries count too.
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

// key names what shares one budget: IAM is one for all regions.
func (b *budget) key(ctx context.Context, what string) string {
	if what == "iam" {
		return "aws " + b.owner(ctx) + " iam"
	}
	return "aws " + b.owner(ctx) + " " + b.region + " " + what
}

// bucket is what an operation draws on, and how many a second there are; "" for
// the operations that AWS allows thousands of.
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
