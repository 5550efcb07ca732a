package anchor_test

import (
	"errors"
	"strings"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota/internal/store/anchor"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/aws"
)

// connect starts a server, and logs in with AWS's own client and with Rota's.
func connect(t *testing.T) (*s3.Client, *aws.Connection) {
	t.Helper()
	url := testenv.Moto(t).URL
	client := s3.New(s3.Options{
		BaseEndpoint: sdk.String(url), Region: "us-east-1", UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider("AKIAEXAMPLE", "example", ""),
	})
	c, err := aws.New(t.Context(), "a", aws.Config{Region: "us-east-1", Endpoint: url, AccessKeyID: "AKIAEXAMPLE", SecretAccessKey: "example"})
	if err != nil {
		t.Fatal(err)
	}
	return client, c
}

// Object lock keeps versions, but not from being replaced or hidden.
func TestALockedBucketShowsWhatIsHidden(t *testing.T) {
	client, c := connect(t)
	bucket := sdk.String("heads")
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: bucket, ObjectLockEnabledForBucket: sdk.Bool(true)}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.PutObjectLockConfiguration(t.Context(), &s3.PutObjectLockConfigurationInput{Bucket: bucket, ObjectLockConfiguration: &types.ObjectLockConfiguration{
		ObjectLockEnabled: types.ObjectLockEnabledEnabled,
		Rule:              &types.ObjectLockRule{DefaultRetention: &types.DefaultRetention{Mode: types.ObjectLockRetentionModeCompliance, Days: sdk.Int32(1)}},
	}}); err != nil {
		t.Fatal(err)
	}
	place := anchor.Archive{ObjectStore: c.Archive("heads", "rota-audit/")}
	key := newKey(t)
	want := []anchor.Head{sign(t, key, 3), sign(t, key, 5), sign(t, key, 7)}
	other := want[2] // of another history
	other.Hash = strings.Repeat("cd", 32)
	want = append(want, other)
	for _, h := range want {
		if err := place.Put(t.Context(), h); err != nil {
			t.Fatal(err)
		}
	}
	all, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: bucket})
	if err != nil || len(all.Contents) != len(want) {
		t.Fatalf("%d objects, %v", len(all.Contents), err)
	}
	if _, err := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket, Key: all.Contents[1].Key}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: all.Contents[2].Key, Body: strings.NewReader("what"), ChecksumAlgorithm: types.ChecksumAlgorithmSha256}); err != nil {
		t.Fatal(err)
	}
	got, err := place.Heads(t.Context())
	if _, ok := errors.AsType[*anchor.StrayError](err); !ok {
		t.Errorf("an object that isn't a head: %v", err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestABucketKeepsHeads(t *testing.T) {
	client, c := connect(t)
	place := anchor.Archive{ObjectStore: c.Archive("heads", "rota-audit/")}
	h := sign(t, newKey(t), 12)
	if err := place.Put(t.Context(), h); err == nil {
		t.Fatal("a bucket that is not there took a head")
	}
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: sdk.String("heads")}); err != nil {
		t.Fatal(err)
	}
	if heads, err := place.Heads(t.Context()); err != nil || len(heads) > 0 {
		t.Fatalf("before the first: %v, %v", heads, err)
	}
	want := []anchor.Head{sign(t, newKey(t), 9), h} // by number, not as they were put
	for _, h := range []anchor.Head{want[1], want[0], want[1]} {
		if err := place.Put(t.Context(), h); err != nil {
			t.Fatal(err)
		}
	}
	got, err := place.Heads(t.Context())
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}
