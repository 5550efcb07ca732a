package secretsmanager

import (
	"context"

	"github.com/rota-dev/rota/internal/store/record"
)

// operations are all operations of the API.
var operations = map[string]operation{
	"BatchGetSecretValue":      handle(batchGetSecretValue),
	"CancelRotateSecret":       handle(cancelRotateSecret),
	"CreateSecret":             handle(createSecret),
	"DeleteResourcePolicy":     handle(deleteResourcePolicy),
	"DeleteSecret":             handle(deleteSecret),
	"DescribeSecret":           handle(describeSecret),
	"GetRandomPassword":        handle(getRandomPassword),
	"GetResourcePolicy":        handle(getResourcePolicy),
	"GetSecretValue":           handle(getSecretValue),
	"ListResourcePolicies":     handle(listResourcePolicies),
	"ListSecretVersionIds":     handle(listSecretVersionIDs),
	"ListSecrets":              handle(listSecrets),
	"PutResourcePolicy":        handle(putResourcePolicy),
	"PutSecretValue":           handle(putSecretValue),
	"RestoreSecret":            handle(restoreSecret),
	"RotateSecret":             handle(rotateSecret),
	"TagResource":              handle(tagResource),
	"UntagResource":            handle(untagResource),
	"UpdateSecret":             handle(updateSecret),
	"UpdateSecretVersionStage": handle(updateSecretVersionStage),
	"ValidateResourcePolicy":   handle(validateResourcePolicy),

	"AssociateCrossAccountReplica":    handle(noReplication),
	"DisassociateCrossAccountReplica": handle(noReplication),
	"RemoveRegionsFromReplication":    handle(noReplication),
	"ReplicateSecretToRegions":        handle(noReplication),
	"StopReplicationToReplica":        handle(noReplication),
}

// secretRequest is the parameters of operations that take only a secret.
type secretRequest struct {
	SecretID string `json:"SecretId"`
}

func (r *secretRequest) check() error { return checkSecretID(r.SecretID) }

// secretOutput is the response of most operations.
type secretOutput struct {
	ARN           string
	Name          string
	VersionID     string   `json:"VersionId,omitempty"`
	VersionStages []string `json:",omitempty"`
	DeletionDate  epoch    `json:",omitzero"`
}

func (s *Server) output(r record.Record) secretOutput {
	return secretOutput{ARN: s.ARN(r), Name: r.Name}
}

// emptyOutput is the response of operations that have none.
type emptyOutput struct{}

func noReplication(context.Context, *Server, *record.Guarded, *secretRequest) (emptyOutput, error) {
	return emptyOutput{}, errReplication()
}

func errReplication() *Error {
	return errInvalidRequest("Rota doesn't replicate secrets to other regions or accounts: each of its replicas serves all secrets.")
}
