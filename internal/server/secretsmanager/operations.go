package secretsmanager

import (
	"context"

	"github.com/rota-dev/rota/internal/store/record"
)

// operations are all of the API.
var operations = map[string]operation{
	"BatchGetSecretValue":      on(batchGetSecretValue),
	"CancelRotateSecret":       on(cancelRotateSecret),
	"CreateSecret":             on(createSecret),
	"DeleteResourcePolicy":     on(deleteResourcePolicy),
	"DeleteSecret":             on(deleteSecret),
	"DescribeSecret":           on(describeSecret),
	"GetRandomPassword":        on(getRandomPassword),
	"GetResourcePolicy":        on(getResourcePolicy),
	"GetSecretValue":           on(getSecretValue),
	"ListResourcePolicies":     on(listResourcePolicies),
	"ListSecretVersionIds":     on(listSecretVersionIDs),
	"ListSecrets":              on(listSecrets),
	"PutResourcePolicy":        on(putResourcePolicy),
	"PutSecretValue":           on(putSecretValue),
	"RestoreSecret":            on(restoreSecret),
	"RotateSecret":             on(rotateSecret),
	"TagResource":              on(tagResource),
	"UntagResource":            on(untagResource),
	"UpdateSecret":             on(updateSecret),
	"UpdateSecretVersionStage": on(updateSecretVersionStage),
	"ValidateResourcePolicy":   on(validateResourcePolicy),

	"AssociateCrossAccountReplica":    on(noReplication),
	"DisassociateCrossAccountReplica": on(noReplication),
	"RemoveRegionsFromReplication":    on(noReplication),
	"ReplicateSecretToRegions":        on(noReplication),
	"StopReplicationToReplica":        on(noReplication),
}

// secretRequest is the parameters of operations that take nothing but a secret.
type secretRequest struct {
	SecretID string `json:"SecretId"`
}

func (r *secretRequest) check() error { return checkSecretID(r.SecretID) }

// secretAnswer is what most operations answer with.
type secretAnswer struct {
	ARN           string
	Name          string
	VersionID     string   `json:"VersionId,omitempty"`
	VersionStages []string `json:",omitempty"`
	DeletionDate  epoch    `json:",omitzero"`
}

func (s *Server) answer(r record.Record) secretAnswer {
	return secretAnswer{ARN: s.ARN(r), Name: r.Name}
}

// nothing is the answer of operations that have none.
type nothing struct{}

func noReplication(context.Context, *Server, *record.Guarded, *secretRequest) (nothing, error) {
	return nothing{}, errReplication()
}

func errReplication() *Error {
	return errInvalidRequest("Rota does not replicate secrets to other regions or accounts: each of its replicas serves all secrets.")
}
