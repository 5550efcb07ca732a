package aws

import (
	"context"
	"fmt"
	"strings"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"

	"rota"
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
	account string // its number, or the connection's name where that is not known
	region  string
}

// newBudget makes the budget of a connection. The account is that of the role
// that is assumed: of other credentials, only a call would tell.
func newBudget(b rota.Budget, name, region, roleARN string) *budget {
	if b == nil {
		b = rota.NewLocalBudget()
	}
	account := name
	if parts := strings.Split(roleARN, ":"); len(parts) == 6 && parts[4] != "" {
		account = parts[4]
	}
	return &budget{Budget: b, account: account, region: region}
}

// limit makes every attempt of every call wait for its turn: no call can
// forget it, and the SDK's retries count too.
func (b *budget) limit(stack *middleware.Stack) error {
	wait := middleware.FinalizeMiddlewareFunc("RotaBudget", func(
		ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler,
	) (middleware.FinalizeOutput, middleware.Metadata, error) {
		if what, perSecond := bucket(awsmiddleware.GetServiceID(ctx), middleware.GetOperationName(ctx)); what != "" {
			if err := b.Take(ctx, b.key(what), rota.Rate{PerSecond: float64(perSecond), Burst: perSecond}); err != nil {
				return middleware.FinalizeOutput{}, middleware.Metadata{}, fmt.Errorf("waiting for the budget of calls: %w", err)
			}
		}
		return next.HandleFinalize(ctx, in)
	})
	return stack.Finalize.Insert(wait, "Retry", middleware.After)
}

// key names what shares one budget: IAM is one for all regions.
func (b *budget) key(what string) string {
	if what == "iam" {
		return "aws " + b.account + " iam"
	}
	return "aws " + b.account + " " + b.region + " " + what
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
		case "ListSecretVersionIds":
			return "secretsmanager lists", secretListsPerSecond
		}
		return "secretsmanager writes", secretWritesPerSecond
	}
	return "", 0
}
