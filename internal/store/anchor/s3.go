package anchor

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// S3 is a bucket that gets one object for each head. With object lock nobody
// can take one away.
type S3 struct {
	Client *s3.Client
	Bucket string
	Prefix string
}

var _ Place = S3{}

// Name names the bucket.
func (p S3) Name() string { return "s3 " + p.Bucket + "/" + p.Prefix }

// Put writes an object whose name sorts by the entry's number.
func (p S3) Put(ctx context.Context, h Head) error {
	body, err := json.Marshal(h)
	if err != nil {
		return err
	}
	_, err = p.Client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &p.Bucket, Key: aws.String(fmt.Sprintf("%s%019d.json", p.Prefix, h.Seq)),
		Body: bytes.NewReader(body), ContentType: aws.String("application/json"),
	})
	return err
}

// maxHead bounds what is read of one object.
const maxHead = 4 << 10

// Heads reads all objects.
func (p S3) Heads(ctx context.Context) ([]Head, error) {
	var heads []Head
	pages := s3.NewListObjectsV2Paginator(p.Client, &s3.ListObjectsV2Input{Bucket: &p.Bucket, Prefix: &p.Prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, o := range page.Contents {
			h, err := p.head(ctx, aws.ToString(o.Key))
			if err != nil {
				return nil, err
			}
			heads = append(heads, h)
		}
	}
	return heads, nil
}

func (p S3) head(ctx context.Context, key string) (Head, error) {
	o, err := p.Client.GetObject(ctx, &s3.GetObjectInput{Bucket: &p.Bucket, Key: &key})
	if err != nil {
		return Head{}, err
	}
	defer func() { _ = o.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(o.Body, maxHead))
	if err != nil {
		return Head{}, err
	}
	var h Head
	if err := json.Unmarshal(text, &h); err != nil {
		return Head{}, fmt.Errorf("s3 %s/%s: not a head of the audit", p.Bucket, key)
	}
	return h, nil
}
