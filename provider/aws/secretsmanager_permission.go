package aws

import (
	"context"
	"regexp"
	"strings"
)

// Connection implements [PermissionHolder].
func (s *secretStore) Connection() *Connection { return s.connection }

// Permissions implements [PermissionHolder].
func (s *secretStore) Permissions(_ context.Context, at Place) []Permission {
	var needs []Permission
	for _, resource := range s.resources(at) {
		needs = append(needs, s.needs(resource, at)...)
		if !s.exists() {
			needs = append(needs, s.needsToCreate(resource)...)
		}
	}
	return needs
}

// exists reports whether the secret is given by an ARN, which can't be created.
func (s *secretStore) exists() bool { return strings.HasPrefix(s.cfg.Name, "arn:") }

// resources returns the secret's ARNs for a policy. AWS appends a hyphen and six
// random characters to the name. Secrets Manager accepts an ARN without them, but a
// policy with such an ARN allows nothing. The end of a name can look like them, as
// in my-secret. Six lowercase letters or digits are hardly ever random, so in that
// case both ARNs are allowed.
func (s *secretStore) resources(at Place) []string {
	const suffix = "-??????"
	switch end := randomEnd.FindStringSubmatch(s.cfg.Name); {
	case !s.exists():
		return []string{at.arn("secretsmanager", "secret:"+s.cfg.Name+suffix)}
	case end == nil:
		return []string{s.cfg.Name + suffix}
	case wordOrNumber.MatchString(end[1]):
		return []string{s.cfg.Name, s.cfg.Name + suffix}
	}
	return []string{s.cfg.Name}
}

var (
	randomEnd    = regexp.MustCompile(`-([A-Za-z0-9]{6})$`)
	wordOrNumber = regexp.MustCompile(`^([a-z]+|[0-9]+)$`)
)

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
