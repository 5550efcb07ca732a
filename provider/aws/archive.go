package aws

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// maxArchived is the most that's read from one object.
const maxArchived = 4 << 10

// Archive is a set of objects in a bucket that Rota reads and writes.
type Archive struct {
	connection     *Connection
	bucket, prefix string
}

// Archive returns an archive of the objects under a prefix of a bucket. It's a
// [PermissionHolder].
func (c *Connection) Archive(bucket, prefix string) *Archive {
	return &Archive{c, bucket, prefix}
}

// Name returns the bucket and the prefix.
func (a *Archive) Name() string { return "s3 " + a.bucket + "/" + a.prefix }

// Put writes an object.
func (a *Archive) Put(ctx context.Context, name string, content []byte) error {
	_, err := a.connection.s3.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &a.bucket, Key: new(a.prefix + name), Body: bytes.NewReader(content), ContentType: new("application/json"),
	})
	return err
}

// List returns the names of all objects, without the prefix.
func (a *Archive) List(ctx context.Context) ([]string, error) {
	var names []string
	pages := s3.NewListObjectsV2Paginator(a.connection.s3, &s3.ListObjectsV2Input{Bucket: &a.bucket, Prefix: &a.prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, o := range page.Contents {
			names = append(names, strings.TrimPrefix(awssdk.ToString(o.Key), a.prefix))
		}
	}
	return names, nil
}

// Get reads an object, up to maxArchived bytes.
func (a *Archive) Get(ctx context.Context, name string) ([]byte, error) {
	o, err := a.connection.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: &a.bucket, Key: new(a.prefix + name)})
	if err != nil {
		return nil, err
	}
	defer func() { _ = o.Body.Close() }()
	return io.ReadAll(io.LimitReader(o.Body, maxArchived))
}

// Connection implements [PermissionHolder].
func (a *Archive) Connection() *Connection { return a.connection }

// Permissions implements [PermissionHolder].
func (a *Archive) Permissions(_ context.Context, at Place) []Permission {
	list := Permission{ID: "ListAnchors", Resource: at.bucket(a.bucket), Condition: map[string]map[string][]string{"StringEquals": {"s3:prefix": {a.prefix}}}}
	return slices.Concat(
		Permission{ID: "KeepAnchors", Resource: at.bucket(a.bucket + "/" + a.prefix + "*")}.each(
			reason{"s3:PutObject", "keeps the audit's signed heads"},
			reason{"s3:GetObject", "reads the signed heads, to verify the audit"}),
		list.each(reason{"s3:ListBucket", "finds the signed heads, to verify the audit"}),
	)
}
