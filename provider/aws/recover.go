package aws

import (
	"context"

	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
)

// survive turns a panic while the SDK decodes a response into an error. Its JSON
// decoder panics on some malformed objects, which a proxy or an emulator might
// send, and one secret must not crash a daemon that manages many.
func survive(stack *middleware.Stack) error {
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("RotaSurvive", func(
		ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler,
	) (out middleware.DeserializeOutput, metadata middleware.Metadata, err error) {
		defer func() {
			if recover() != nil { // its text may quote the answer
				err = &smithy.DeserializationError{Err: errUnreadable}
			}
		}()
		return next.HandleDeserialize(ctx, in)
	}), middleware.Before)
}
