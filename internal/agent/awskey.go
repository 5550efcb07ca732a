package agent

import (
	"errors"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/client"
)

// DefaultLifetime is when SDKs have to ask again for a key that doesn't expire by
// itself. Some ask again a quarter of an hour before.
const DefaultLifetime = 30 * time.Minute

// ProcessCredentials are what a credential process prints for AWS SDKs and the AWS
// CLI: https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html.
type ProcessCredentials struct {
	Version         int
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string
	SessionToken    string `json:",omitempty"`
	Expiration      time.Time
}

// ContainerCredentials are the answer of a container credentials endpoint:
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html.
type ContainerCredentials struct {
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string
	Token           string
	Expiration      time.Time
}

var errNoKey = errors.New("the secret has no access_key_id and secret_access_key")

// NewProcessCredentials makes them of a secret's current value. SDKs take keys
// without an expiration for good, so every key gets one: now and the lifetime, or
// when it expires by itself.
func NewProcessCredentials(v client.Value, now time.Time, lifetime time.Duration) (ProcessCredentials, error) {
	c := ProcessCredentials{
		Version: 1, AccessKeyID: v.Field(rota.FieldAccessKeyID), SecretAccessKey: v.Field(rota.FieldSecretAccessKey), SessionToken: v.Field(rota.FieldSessionToken),
		Expiration: now.Add(lifetime).UTC().Truncate(time.Second),
	}
	if c.AccessKeyID == "" || c.SecretAccessKey == "" {
		return ProcessCredentials{}, errNoKey
	}
	if end := v.ExpiresAt(); !end.IsZero() && end.Before(c.Expiration) {
		c.Expiration = end.UTC().Truncate(time.Second)
	}
	return c, nil
}
