package aws

import (
	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// ConnectionKind is the key of AWS connections in rota.yaml.
const ConnectionKind = "aws"

// Provider describes what rota.yaml can use from AWS.
func Provider() provider.Provider {
	return provider.Provider{
		Name:    "aws",
		System:  "Amazon Web Services",
		Example: example,
		Connections: []provider.Connection{{
			Kind: provider.Kind{
				Key: ConnectionKind, Summary: "An AWS account and region. Without keys, Rota logs in with the SDK's default credential chain.",
				Example: "{region: eu-central-1}",
			},
			New:    func() provider.ConnectionConfig { return new(connectionConfig) },
			Policy: policy, Discovery: discovery,
		}},
		Issuers: []provider.Issuer{
			{
				Kind: provider.Kind{
					Key: "iam_access_key", Summary: "The access key of an IAM user (connection: aws).",
					Example: "{user: ci}",
				},
				Connection: ConnectionKind, Evidence: rota.EvidenceRecorded, Reversible: true,
				New: func() provider.IssuerConfig { return new(accessKeyConfig) },
			},
			{
				Kind: provider.Kind{
					Key: "assume_role", Summary: "Sessions of an IAM role (connection: aws): keys that expire by themselves and are renewed in time.",
					Example: "{role_arn: arn:aws:iam::111122223333:role/deploy, duration: 1h}",
				},
				Connection: ConnectionKind, Varies: "duration is the lifetime, and thereby how often a session is renewed",
				New: func() provider.IssuerConfig { return new(assumeRoleConfig) },
			},
		},
		Stores: []provider.Store{{
			Kind: provider.Kind{
				Key: "secrets_manager", Summary: "An entry in AWS Secrets Manager (connection: aws).",
				Example: "{name: prod/ci, fields: {id: access_key_id, key: secret_access_key}}",
			},
			Connection: ConnectionKind,
			New:        func() provider.StoreConfig { return new(secretsManagerConfig) },
		}},
		Checks: []provider.Check{{
			Kind: provider.Kind{
				Key: "s3_bucket", Summary: "A bucket that must be reachable with the new access key.",
				Example: "files",
			},
			Connection: ConnectionKind, Needs: "an access key",
			New: func() provider.CheckConfig { return new(bucketConfig) },
		}},
		Targets: []provider.Target{{
			Kind: provider.Kind{
				Key: "ssm_parameter", Summary: "A parameter in AWS SSM Parameter Store.",
				Example: "{connection: prod, name: /prod/app/db, field: secret_access_key}",
			},
			New: func() provider.TargetConfig { return new(parameterConfig) },
		}},
		Notifiers: []provider.Notifier{{
			Kind: provider.Kind{
				Key: "sns", Summary: "An SNS topic that events are published to.",
				Example: "{connection: prod, topic_arn: arn:aws:sns:eu-central-1:111122223333:rotations}",
			},
			New: func() provider.NotifierConfig { return new(topicConfig) },
		}},
		Archives: []provider.Archive{{
			Kind: provider.Kind{
				Key: "s3", Summary: "An S3 bucket that keeps the audit's signed heads, one object each, best with object lock.",
				Example: "{connection: prod, bucket: audit}",
			},
			New: func() provider.ArchiveConfig { return new(archiveConfig) },
		}},
	}
}

// example is a rota.yaml for rota providers and the docs.
const example = `connections:
  prod: {aws: {region: eu-central-1}}
  ops: {sns: {connection: prod, topic_arn: "arn:aws:sns:eu-central-1:111122223333:rotations"}}
defaults:
  notify: [ops]
server:
  audit: {anchors: [{s3: {connection: prod, bucket: example-audit}}]}
secrets:
  - name: prod/files
    issuer: {connection: prod, iam_access_key: {user: files}}
    store: {connection: prod, secrets_manager: {name: prod/files, fields: {id: access_key_id, key: secret_access_key}}}
    test: {s3_bucket: example-files}
    targets:
      - {name: jobs, ssm_parameter: {connection: prod, name: /prod/jobs/files}}
    policy: {rotate_every: 90d, deactivate_previous_after: 10d, delete_previous_after: 20d}
  - name: prod/deploy
    issuer: {connection: prod, assume_role: {role_arn: "arn:aws:iam::111122223333:role/deploy", duration: 1h}}
    targets:
      - {name: runner, file: {path: /etc/deploy/aws, format: aws_credentials}}
`
