package aws

import (
	"context"
	"strings"
)

// Connection implements [PermissionHolder].
func (s *secretStore) Connection() *Connection { return s.connection }

// Permissions implements [PermissionHolder].
func (s *secretStore) Permissions(_ context.Context, at Place) []Permission {
	resource := s.resource(at)
	needs := s.needs(resource, at)
	if s.exists() {
		return needs
	}
	return append(needs, s.needsToCreate(resource)...)
}

// exists tells whether the secret is given by an ARN, which can't be created.
func (s *secretStore) exists() bool { return strings.HasPrefix(s.cfg.Name, "arn:") }

// resource is the secret in a policy: its ARN, which AWS ends in six random
// characters.
func (s *secretStore) resource(at Place) string {
	if s.exists() {
		return s.cfg.Name
	}
	return at.arn("secretsmanager", "secret:"+s.cfg.Name+"-??????")
}

// needs are the permissions on the secret with this ARN.
func (s *secretStore) needs(secret string, at Place) []Permission {
	needs := Permission{ID: "KeepSecrets", Resource: secret}.each(
		reason{"secretsmanager:DescribeSecret", "sees which version carries which label"},
		reason{"secretsmanager:ListSecretVersionIds", "sees how old the versions are"},
		reason{"secretsmanager:GetSecretValue", "reads the versions, to test them and to keep the fields that are not its own"},
		reason{"secretsmanager:PutSecretValue", "stores the next credential"},
		reason{"secretsmanager:UpdateSecretVersionStage", "moves AWSCURRENT and the other labels"})
	if s.cfg.KMSKeyID != "" {
		needs = append(needs, s.needsOfKey(at)...)
	}
	return needs
}

// needsToCreate are the permissions to make the secret.
func (s *secretStore) needsToCreate(secret string) []Permission {
	reasons := []reason{{"secretsmanager:CreateSecret", "makes the secret where there is none"}}
	if len(s.cfg.Tags) > 0 {
		reasons = append(reasons, reason{"secretsmanager:TagResource", "makes the secret with its tags"})
	}
	return Permission{ID: "CreateSecrets", Resource: secret, For: ToCreate}.each(reasons...)
}

// needsOfKey are the permissions to encrypt with the secret's own KMS key.
func (s *secretStore) needsOfKey(at Place) []Permission {
	return at.useOfKey(s.cfg.KMSKeyID, "secretsmanager").each(
		reason{"kms:Decrypt", "reads the secret that this key encrypts, through Secrets Manager"},
		reason{"kms:GenerateDataKey", "stores a version that this key encrypts, through Secrets Manager"})
}
