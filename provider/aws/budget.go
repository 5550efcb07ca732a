package aws

import (
	"context"
	"fmt"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
	"golang.org/x/time/rate"
)

// Calls a second that a connection allows itself. AWS's limits hold for the
// whole account and region, so that everybody else's calls need room as well.
const (
	secretWritesPerSecond = 15 // of AWS's 50 for PutSecretValue, UpdateSecret and UpdateSecretVersionStage together
	secretListsPerSecond  = 20 // of AWS's 50 and more
	iamPerSecond          = 5  // AWS publishes none
	snsPerSecond          = 10 // of AWS's 300 and more
)

// budget holds the token buckets of one connection, which all secrets share.
type budget struct {
	secretWrites, secretLists, iam, sns *rate.Limiter
}

func newBudget() *budget {
	bucket := func(perSecond int) *rate.Limiter { return rate.NewLimiter(rate.Limit(perSecond), perSecond) }
	return &budget{
		secretWrites: bucket(secretWritesPerSecond),
		secretLists:  bucket(secretListsPerSecond),
		iam:          bucket(iamPerSecond),
		sns:          bucket(snsPerSecond),
	}
}

// limit makes every attempt of every call wait for its token: no call can
// forget it, and the SDK's retries count too.
func (b *budget) limit(stack *middleware.Stack) error {
	wait := middleware.FinalizeMiddlewareFunc("RotaBudget", func(
		ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler,
	) (middleware.FinalizeOutput, middleware.Metadata, error) {
		if bucket := b.bucket(awsmiddleware.GetServiceID(ctx), middleware.GetOperationName(ctx)); bucket != nil {
			if err := bucket.Wait(ctx); err != nil {
				return middleware.FinalizeOutput{}, middleware.Metadata{}, fmt.Errorf("waiting for the budget of calls: %w", err)
			}
		}
		return next.HandleFinalize(ctx, in)
	})
	return stack.Finalize.Insert(wait, "Retry", middleware.After)
}

// bucket is the bucket that an operation draws on; nil for those that AWS
// allows thousands of.
func (b *budget) bucket(service, operation string) *rate.Limiter {
	switch service {
	case "IAM":
		return b.iam
	case "SNS":
		return b.sns
	case "Secrets Manager":
		switch operation {
		case "GetSecretValue", "DescribeSecret":
			return nil
		case "ListSecretVersionIds":
			return b.secretLists
		}
		return b.secretWrites
	}
	return nil
}
