package aws

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/rota-dev/rota"
)

// bucketCheck sees whether a credential reaches a bucket.
type bucketCheck struct {
	connection *Connection
	bucket     string
}

// Bucket is the check that a new access key reaches an S3 bucket (HeadBucket,
// which needs s3:ListBucket), in whatever region that is.
func (c *Connection) Bucket(bucket string) rota.Check {
	return &bucketCheck{connection: c, bucket: bucket}
}

// Name implements [rota.Check].
func (b *bucketCheck) Name() string { return "s3 bucket " + b.bucket }

// Check implements [rota.Check]. A refusal is of class wait: S3 learns of a new
// key later than STS does.
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
	if status == http.StatusForbidden || status == http.StatusUnauthorized { // HEAD answers no code
		e.Class, e.Err = rota.ClassWait, fmt.Errorf("%w: %w", rota.ErrRefused, e.Err)
		e.Hint = "allow s3:ListBucket on arn:aws:s3:::" + b.bucket + " to the user, if it is still refused after some minutes"
	}
	return e
}

func (b *bucketCheck) head(ctx context.Context, c rota.Credential, region string) error {
	_, err := b.connection.s3With(c, region).HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &b.bucket})
	return err
}

// bucketRegion is the region that S3 says the bucket is in, "" where it says
// none.
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

// Permissions implements [PermissionHolder]: none of Rota's. Whoever owns the tested key
// needs them.
func (b *bucketCheck) Permissions(_ context.Context, at Place) []Permission {
	return []Permission{{ID: "ReachBucket", Action: "s3:ListBucket", Resource: at.bucket(b.bucket), Holder: "the user",
		Why: "reaches the bucket with the new key, to test it"}}
}

// archive is objects in a bucket that Rota writes and reads.
type archive struct {
	connection     *Connection
	bucket, prefix string
}

// Archive is the role of keeping objects under a prefix of a bucket.
func (c *Connection) Archive(bucket, prefix string) PermissionHolder {
	return &archive{c, bucket, prefix}
}

// Connection implements [PermissionHolder].
func (a *archive) Connection() *Connection { return a.connection }

// Permissions implements [PermissionHolder].
func (a *archive) Permissions(_ context.Context, at Place) []Permission {
	list := Permission{ID: "ListAnchors", Resource: at.bucket(a.bucket), Condition: map[string]map[string][]string{"StringEquals": {"s3:prefix": {a.prefix}}}}
	return slices.Concat(
		Permission{ID: "KeepAnchors", Resource: at.bucket(a.bucket + "/" + a.prefix + "*")}.each(
			reason{"s3:PutObject", "keeps the audit's signed heads"},
			reason{"s3:GetObject", "reads the signed heads, to verify the audit"}),
		list.each(reason{"s3:ListBucket", "finds the signed heads, to verify the audit"}),
	)
}

// S3 is the connection's own client, for what else than a check needs a
// bucket.
func (c *Connection) S3() *s3.Client { return c.s3 }
