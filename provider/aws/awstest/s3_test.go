package awstest_test

import (
	"io"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota/provider/aws/awstest"
)

func TestBucketsAndObjects(t *testing.T) {
	s := start(t, awstest.Options{})
	s.CreateBucket("data", "app")
	root := asRoot(s)
	app, _ := asUser(t, s, "app")
	bucket := aws.String("data")
	want := []string{"a b/ü+1.txt", "one", "sub/two"}
	for _, key := range want {
		must[*s3.PutObjectOutput](t)(root.s3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: &key, Body: strings.NewReader("body of " + key)}))
	}
	var got []string
	pages := s3.NewListObjectsV2Paginator(app.s3, &s3.ListObjectsV2Input{Bucket: bucket, MaxKeys: aws.Int32(2)})
	for pages.HasMorePages() {
		for _, o := range must[*s3.ListObjectsV2Output](t)(pages.NextPage(t.Context())).Contents {
			got = append(got, *o.Key)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, key := range want {
		out := must[*s3.GetObjectOutput](t)(app.s3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: &key}))
		body := must[[]byte](t)(io.ReadAll(out.Body))
		if string(body) != "body of "+key {
			t.Errorf("object %s holds %q", key, body)
		}
	}
	head := must[*s3.HeadObjectOutput](t)(app.s3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: bucket, Key: aws.String("one")}))
	if *head.ContentLength != int64(len("body of one")) {
		t.Errorf("length %d", *head.ContentLength)
	}

	_, err := app.s3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: aws.String("x"), Body: strings.NewReader("x")})
	wantCode(t, err, "AccessDenied")
	_, err = root.s3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: aws.String("none")})
	wantCode(t, err, "NoSuchKey")
	_, err = root.s3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("none")})
	wantCode(t, err, "NoSuchBucket")
	_, err = root.s3.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String("none")})
	wantCode(t, err, "NotFound")
	must[*s3.DeleteObjectOutput](t)(root.s3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket, Key: aws.String("one")}))
	_, err = app.s3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: bucket, Key: aws.String("one")})
	wantCode(t, err, "NotFound")
}
