package aws

import (
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/rota-dev/rota"
)

// stsWith returns a client that logs in with a credential under test. Each one has
// a new signer: the SDK's signer caches the signing key by access key id, so a
// wrong secret would pass once the right one had been used.
func (c *Connection) stsWith(credential rota.Credential) *sts.Client {
	o := c.sts.Options()
	o.AuthSchemes, o.HTTPSignerV4 = nil, nil
	o.Credentials = staticOf(credential)
	return sts.New(o)
}

// s3With is stsWith for S3.
func (c *Connection) s3With(credential rota.Credential, region string) *s3.Client {
	o := c.s3.Options()
	o.AuthSchemes, o.HTTPSignerV4 = nil, nil
	o.Credentials = staticOf(credential)
	o.Region = region
	return s3.New(o)
}

func staticOf(c rota.Credential) credentials.StaticCredentialsProvider {
	return credentials.NewStaticCredentialsProvider(c.Field(rota.FieldAccessKeyID), c.Field(rota.FieldSecretAccessKey), c.Field(rota.FieldSessionToken))
}
