package aws

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/rota-dev/rota"
)

// bucketCheck checks that a credential can access a bucket.
type bucketCheck struct {
	connection *Connection
	bucket     string
}

// Bucket returns a check that a new access key can access an S3 bucket, whatever
// its region. It calls HeadBucket, which needs s3:ListBucket.
func (c *Connection) Bucket(bucket string) rota.Check {
	return &bucketCheck{connection: c, bucket: bucket}
}

// Name implements [rota.Check].
func (b *bucketCheck) Name() string { return "s3 bucket " + b.bucket }

// Check implements [rota.Check]. A refusal has class wait, because new keys reach
// S3 later than STS.
func (b *bucketCheck) Check(ctx context.Context, c rota.Credential) error {
	return rota.Sanitize(b.check(ctx, c), c)
}

func (b *bucketCheck) check(ctx context.Context, c rota.Credential) error {
	op := "reach s3 bucket " + b.bucket + " with access key " + c.Field(rota.FieldAccessKeyID)
	if b.bucket == "" || c.Field(rota.FieldAccessKeyID) == "" {
		return b.connection.refuse(op, "", errors.New("no bucket, or no access key id"))
	}
	err := b.head(ctx, c, b.connection.region)
	if region := bucketRegion(err); region != "" && region != b.connection.region {
		err = b.head(ctx, c, region)
	}
	if err == nil {
		return nil
	}
	e := classify(err)
	e.System, e.Op = b.connection.system(), op
	status, _ := httpOf(err)
	if status == http.StatusForbidden || status == http.StatusUnauthorized { // a response to HEAD has no error code
		e.Class, e.Err = rota.ClassWait, fmt.Errorf("%w: %w", rota.ErrRefused, e.Err)
		e.Remedies = rota.Outside("allow s3:ListBucket on arn:aws:s3:::" + b.bucket + " to the user, if it is still refused after some minutes")
	}
	return e
}

func (b *bucketCheck) head(ctx context.Context, c rota.Credential, region string) error {
	_, err := b.connection.s3With(c, region).HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &b.bucket})
	return err
}

// bucketRegion returns the region that S3 says the bucket is in, or "" if it
// doesn't say.
func bucketRegion(err error) string {
	e, ok := errors.AsType[*smithyhttp.ResponseError](err)
	if !ok || e.Response == nil || e.Response.Response == nil {
		return ""
	}
	if status := e.HTTPStatusCode(); status != http.StatusMovedPermanently && status != http.StatusBadRequest {
		return ""
	}
	return e.Response.Header.Get("X-Amz-Bucket-Region")
}

// Connection implements [PermissionHolder].
func (b *bucketCheck) Connection() *Connection { return b.connection }

// Permissions implements [PermissionHolder]. Rota itself needs none; the owner of
// the tested key does.
func (b *bucketCheck) Permissions(_ context.Context, at Place) []Permission {
	return []Permission{{ID: "ReachBucket", Action: "s3:ListBucket", Resource: at.bucket(b.bucket), Holder: "the user",
		Why: "reaches the bucket with the new key, to test it"}}
}
