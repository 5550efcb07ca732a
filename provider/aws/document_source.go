package aws

import (
	"context"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// maxDocument is the most that's read from an object or a parameter.
const maxDocument = 16 << 20

// Object reads a whole S3 object, such as a configuration file.
func (c *Connection) Object(ctx context.Context, bucket, key string) ([]byte, error) {
	op := "read s3://" + bucket + "/" + key
	out, err := c.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return nil, c.fail(op, err)
	}
	defer func() { _ = out.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(out.Body, maxDocument+1))
	if err != nil {
		return nil, c.fail(op, err)
	}
	if len(data) > maxDocument {
		return nil, c.refuse(op, "a smaller one", fmt.Errorf("it is larger than %d MiB", maxDocument>>20))
	}
	return data, nil
}

// ParameterText reads a Systems Manager parameter, such as a configuration, and
// decrypts it if it's encrypted.
func (c *Connection) ParameterText(ctx context.Context, name string) (string, error) {
	op := "read parameter " + name
	out, err := c.ssm.GetParameter(ctx, &ssm.GetParameterInput{Name: &name, WithDecryption: new(true)})
	if err != nil {
		return "", c.fail(op, err)
	}
	if out.Parameter == nil || out.Parameter.Value == nil {
		return "", c.fail(op, errUnreadable)
	}
	return *out.Parameter.Value, nil
}
