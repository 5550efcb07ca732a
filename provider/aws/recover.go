package aws

import (
	"context"

	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
)

// survive makes an error of a panic in the SDK's reading of an answer: its
// JSON reader panics on some broken objects, such as a proxy or an emulator may
// send, and a daemon that looks after many secrets must not end for one.
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
