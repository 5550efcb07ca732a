package aws

import (
	"context"
	"fmt"
	"io"

	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// maxAnswer is how much of an answer is read. AWS's largest are documents in S3 and
// credential reports.
const maxAnswer = 2 * maxDocument

// bound is a middleware that stops reading an answer that's far too large. The SDK
// would read all of it into memory, however large it is.
func bound(stack *middleware.Stack) error {
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("RotaBound", func(
		ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler,
	) (middleware.DeserializeOutput, middleware.Metadata, error) {
		out, metadata, err := next.HandleDeserialize(ctx, in)
		if answer, ok := out.RawResponse.(*smithyhttp.Response); ok && answer.Response != nil && answer.Body != nil {
			answer.Body = &boundedBody{ReadCloser: answer.Body, left: maxAnswer}
		}
		return out, metadata, err
	}), middleware.After)
}

type boundedBody struct {
	io.ReadCloser
	left int
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if len(p) > b.left+1 {
		p = p[:b.left+1] // one more shows that there is more
	}
	n, err := b.ReadCloser.Read(p)
	if n > b.left {
		return b.left, fmt.Errorf("the answer is larger than %d bytes", maxAnswer)
	}
	b.left -= n
	return n, err
}
