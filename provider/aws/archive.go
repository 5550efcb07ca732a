package aws

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
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

// Put writes an object. The checksum is for buckets with object lock, which
// require one.
func (a *Archive) Put(ctx context.Context, name string, content []byte) error {
	_, err := a.connection.s3.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &a.bucket, Key: new(a.prefix + name), Body: bytes.NewReader(content), ContentType: new("application/json"),
		ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
	})
	return a.connection.fail("put "+name+" into "+a.Name(), err)
}

// List returns all objects, each as its name without the prefix, "@" and a
// version, sorted by name. Versions that were replaced or hidden by a delete
// marker are among them: object lock doesn't prevent either.
func (a *Archive) List(ctx context.Context) ([]string, error) {
	var names []string
	pages := s3.NewListObjectVersionsPaginator(a.connection.s3, &s3.ListObjectVersionsInput{Bucket: &a.bucket, Prefix: &a.prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if codeOf(err) == "NotImplemented" { // by a service that keeps no versions
			return a.latest(ctx)
		}
		if err != nil {
			return nil, a.connection.fail("list "+a.Name(), err)
		}
		for _, o := range page.Versions {
			names = append(names, strings.TrimPrefix(awssdk.ToString(o.Key), a.prefix)+"@"+awssdk.ToString(o.VersionId))
		}
	}
	return names, nil
}

// latest returns the names of all objects.
func (a *Archive) latest(ctx context.Context) ([]string, error) {
	var names []string
	pages := s3.NewListObjectsV2Paginator(a.connection.s3, &s3.ListObjectsV2Input{Bucket: &a.bucket, Prefix: &a.prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, a.connection.fail("list "+a.Name(), err)
		}
		for _, o := range page.Contents {
			names = append(names, strings.TrimPrefix(awssdk.ToString(o.Key), a.prefix)+"@")
		}
	}
	return names, nil
}

// Get reads an object that List returned, up to maxArchived bytes.
func (a *Archive) Get(ctx context.Context, name string) ([]byte, error) {
	key, version := name, ""
	if at := strings.LastIndexByte(name, '@'); at >= 0 {
		key, version = name[:at], name[at+1:]
	}
	in := &s3.GetObjectInput{Bucket: &a.bucket, Key: new(a.prefix + key)}
	if version != "" {
		in.VersionId = &version
	}
	o, err := a.connection.s3.GetObject(ctx, in)
	if err != nil {
		return nil, a.connection.fail("get "+name+" from "+a.Name(), err)
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
			reason{"s3:GetObjectVersion", "reads the signed heads, to verify the audit"}),
		list.each(reason{"s3:ListBucketVersions", "finds the signed heads, to verify the audit"}),
	)
}
