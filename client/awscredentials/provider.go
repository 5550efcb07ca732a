// Package awscredentials gives AWS's SDK the access key that's a secret's current
// version.
//
//	config, err := awsconfig.LoadDefaultConfig(ctx,
//		awsconfig.WithCredentialsProvider(awscredentials.New(secrets.Secret("prod/orders-aws"), awscredentials.Options{})))
//	…
//	bucket := s3.NewFromConfig(config)
//
// The SDK caches what a provider returns. What this one returns says that it expires
// a minute later, so the SDK comes back and finds the new key soon after a rotation.
package awscredentials

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/client"
)

// Options say which fields of the secret are the key.
type Options struct {
	// AccessKeyID, SecretAccessKey and SessionToken are the names of the fields. They
	// default to "access_key_id", "secret_access_key" and "session_token", which is how
	// Rota names them. A secret without a session token is a long-lived key.
	AccessKeyID, SecretAccessKey, SessionToken string
	// Every is how long the SDK's cache may keep a key. Let it be much shorter than the
	// policy's grace period. Defaults to a minute.
	Every time.Duration
}

// New returns a provider of the secret's current version.
func New(s *client.Secret, o Options) aws.CredentialsProvider {
	setDefault(&o.AccessKeyID, rota.FieldAccessKeyID)
	setDefault(&o.SecretAccessKey, rota.FieldSecretAccessKey)
	setDefault(&o.SessionToken, rota.FieldSessionToken)
	if o.Every == 0 {
		o.Every = time.Minute
	}
	return &provider{secret: s, o: o}
}

func setDefault(option *string, value string) {
	if *option == "" {
		*option = value
	}
}

type provider struct {
	secret *client.Secret
	o      Options
}

// Retrieve implements [aws.CredentialsProvider].
func (p *provider) Retrieve(ctx context.Context) (aws.Credentials, error) {
	v, err := p.secret.Get(ctx)
	if err != nil {
		return aws.Credentials{}, err
	}
	c := aws.Credentials{
		AccessKeyID: v.Field(p.o.AccessKeyID), SecretAccessKey: v.Field(p.o.SecretAccessKey), SessionToken: v.Field(p.o.SessionToken),
		Source: "rota", CanExpire: true, Expires: time.Now().Add(p.o.Every),
	}
	if !c.HasKeys() {
		return aws.Credentials{}, fmt.Errorf("secret %q has no fields %q and %q: its fields are %q", p.secret.Name(), p.o.AccessKeyID, p.o.SecretAccessKey, v.Names())
	}
	if end := v.ExpiresAt(); !end.IsZero() && end.Before(c.Expires) {
		c.Expires = end
	}
	return c, nil
}

// Refused reports whether AWS refused a request because of its key: one that's unknown,
// switched off or expired, or whose secret is wrong. It's for [client.Secret.Try].
func Refused(err error) bool {
	refusal, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return false
	}
	switch refusal.ErrorCode() {
	case "InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "AuthFailure", "SignatureDoesNotMatch",
		"ExpiredToken", "ExpiredTokenException":
		return true
	}
	return false
}
