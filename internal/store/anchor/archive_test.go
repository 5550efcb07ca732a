package anchor_test

import (
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"github.com/rota-dev/rota/internal/store/anchor"
	"github.com/rota-dev/rota/internal/testenv"
	"github.com/rota-dev/rota/provider/aws"
)

func TestABucketKeepsHeads(t *testing.T) {
	url := testenv.Moto(t).URL
	client := s3.New(s3.Options{
		BaseEndpoint: sdk.String(url), Region: "us-east-1", UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider("AKIAEXAMPLE", "example", ""),
	})
	c, err := aws.New(t.Context(), "a", aws.Config{Region: "us-east-1", Endpoint: url, AccessKeyID: "AKIAEXAMPLE", SecretAccessKey: "example"})
	if err != nil {
		t.Fatal(err)
	}
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
