package aws

import (
	"cmp"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// bucketConfig is the name of a bucket that a new access key must be able to
// access.
type bucketConfig struct{ provider.Text }

// Check implements [provider.CheckConfig].
func (c *bucketConfig) Check(b *provider.Build) (rota.Check, error) {
	connection := provider.Open[*Connection](b, b.Connection)
	bucket := b.Text(c.Text)
	if err := b.Err(); err != nil {
		return nil, err
	}
	return connection.Bucket(bucket), nil
}

// topicConfig is an SNS topic.
type topicConfig struct {
	At         provider.Pos            `json:"-"`
	Connection provider.ConnectionName `json:"connection" kind:"aws" jsonschema:"The aws connection to publish with."`
	TopicARN   provider.Text           `json:"topic_arn" jsonschema:"The topic."`
}

// Validate implements [provider.Validator].
func (c *topicConfig) Validate(v *provider.Validation) {
	if arn, plain := c.TopicARN.Literal(); plain && arn != "" && !IsTopic(arn) {
		v.Problem(c.TopicARN.At, "topic_arn", "arn:aws:sns:eu-central-1:111122223333:rotations", "not a topic's ARN")
	}
}

// Notifier implements [provider.NotifierConfig].
func (c *topicConfig) Notifier(b *provider.Build) (rota.Notifier, error) {
	connection := provider.Open[*Connection](b, c.Connection.Text)
	arn := b.Text(c.TopicARN)
	if err := b.Err(); err != nil {
		return nil, err
	}
	return connection.Topic(arn), nil
}

// archiveConfig is a place in a bucket.
type archiveConfig struct {
	At         provider.Pos            `json:"-"`
	Connection provider.ConnectionName `json:"connection" kind:"aws" jsonschema:"The aws connection to write with."`
	Bucket     provider.Plain          `json:"bucket" jsonschema:"The bucket."`
	Prefix     provider.Plain          `json:"prefix,omitzero" default:"rota-audit/" jsonschema:"The prefix for the objects' names."`
}

// Archive implements [provider.ArchiveConfig].
func (c *archiveConfig) Archive(b *provider.Build) (provider.Objects, error) {
	connection := provider.Open[*Connection](b, c.Connection.Text)
	if err := b.Err(); err != nil {
		return nil, err
	}
	return connection.Archive(c.Bucket.Text, cmp.Or(c.Prefix.Text, "rota-audit/")), nil
}
