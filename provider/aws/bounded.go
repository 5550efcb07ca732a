package aws

import (
	"context"
	"fmt"
	"io"

	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// maxAnswer is the most that's read of one answer. The largest that AWS gives is
// a document in S3 or a credential report.
const maxAnswer = 2 * maxDocument

// bound is a middleware that stops reading an answer that's far too large. The SDK
// reads any answer into memory, however long it goes on.
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
