// Package secretsmanager reads secrets from AWS Secrets Manager, or from Rota's own
// endpoint for AWS's SDKs, for package client.
//
//	config, err := awsconfig.LoadDefaultConfig(ctx)
//	…
//	source := secretsmanager.New(awssecretsmanager.NewFromConfig(config))
//	secrets, err := client.Open(client.Options{Source: source})
//
// AWS can't say when a secret changes, so the client asks: DescribeSecret at
// intervals, and GetSecretValue for a version it doesn't have. Where
// DescribeSecret isn't allowed, it asks GetSecretValue each time.
package secretsmanager

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/smithy-go"

	"github.com/rota-dev/rota/client"
)

// API is the part of AWS's client that's needed.
type API interface {
	GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error)
	DescribeSecret(context.Context, *secretsmanager.DescribeSecretInput, ...func(*secretsmanager.Options)) (*secretsmanager.DescribeSecretOutput, error)
}

// New returns a source that asks Secrets Manager. A secret's name is its name or its
// ARN there.
func New(api API) client.Source { return source{api} }

type source struct{ api API }

// Staging labels.
const (
	current  = "AWSCURRENT"
	previous = "AWSPREVIOUS"
)

// Fetch reads a value only if its version isn't the one that the caller has.
func (s source) Fetch(ctx context.Context, r client.Request) (client.Value, error) {
	if r.Have != "" && !r.Previous {
		same, err := s.isCurrent(ctx, r)
		if err != nil {
			return client.Value{}, translate(err)
		}
		if same {
			return client.Value{}, client.ErrUnchanged
		}
	}
	stage := current
	if r.Previous {
		stage = previous
	}
	v, err := s.api.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String(r.Secret), VersionStage: aws.String(stage)})
	if err != nil {
		return client.Value{}, translate(err)
	}
	version := aws.ToString(v.VersionId)
	if version == r.Have && !r.Previous {
		return client.Value{}, client.ErrUnchanged
	}
	text := aws.ToString(v.SecretString)
	if v.SecretString == nil {
		text = string(v.SecretBinary)
	}
	return client.TextValue(version, text), nil
}

// isCurrent asks without reading a value. If that isn't allowed, it can't tell.
func (s source) isCurrent(ctx context.Context, r client.Request) (bool, error) {
	d, err := s.api.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: aws.String(r.Secret)})
	if isDenied(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return slices.Contains(d.VersionIdsToStages[r.Have], current), nil
}

// translate says what an error means for package client.
func translate(err error) error {
	_, missing := errors.AsType[*types.ResourceNotFoundException](err)
	switch {
	case missing:
		return fmt.Errorf("%w: %w", client.ErrNotFound, err)
	case isDenied(err):
		return fmt.Errorf("%w: %w", client.ErrDenied, err)
	}
	return err
}

// isDenied reports whether the caller is known, but isn't allowed to do that. A caller
// who isn't known may be soon, with the next credential.
func isDenied(err error) bool {
	refusal, ok := errors.AsType[smithy.APIError](err)
	return ok && (refusal.ErrorCode() == "AccessDeniedException" || refusal.ErrorCode() == "AccessDenied")
}
