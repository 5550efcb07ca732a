package secretsmanager

import (
	"cmp"
	"context"
	"strings"

	"github.com/rota-dev/rota/internal/store/record"
)

// secretEntry is what DescribeSecret and ListSecrets have in common. Members
// without a value are omitted.
type secretEntry struct {
	ARN               string
	Name              string
	Type              string         `json:",omitempty"`
	Description       string         `json:",omitempty"`
	KMSKeyID          string         `json:"KmsKeyId,omitempty"`
	RotationEnabled   *bool          `json:",omitempty"`
	RotationLambdaARN string         `json:",omitempty"`
	RotationRules     *rotationRules `json:",omitempty"`
	CreatedDate       epoch          `json:",omitzero"`
	LastChangedDate   epoch          `json:",omitzero"`
	LastRotatedDate   epoch          `json:",omitzero"`
	LastAccessedDate  epoch          `json:",omitzero"`
	DeletedDate       epoch          `json:",omitzero"`
	NextRotationDate  epoch          `json:",omitzero"`
	Tags              []tag          `json:",omitzero"`
}

// entry shows a record. managed has the secrets that Rota itself rotates, by
// name.
func (s *Server) entry(r record.Record, managed map[string]Managed) secretEntry {
	e := secretEntry{
		ARN: s.ARN(r), Name: r.Name, Type: r.Type, Description: r.Description, KMSKeyID: ownKey(r),
		CreatedDate: epoch{r.CreatedAt}, LastChangedDate: epoch{r.ChangedAt},
		LastAccessedDate: epoch{r.AccessedAt}, DeletedDate: epoch{r.DeletedAt},
	}
	if r.Tags != nil { // even if they are all gone
		e.Tags = make([]tag, 0, len(r.Tags))
	}
	for _, t := range r.Tags {
		e.Tags = append(e.Tags, tag(t))
	}
	if m, ok := managed[r.Name]; ok {
		m.apply(&e)
		return e
	}
	if r.Rotation == (record.Rotation{}) {
		return e
	}
	e.RotationEnabled, e.RotationLambdaARN = &r.Rotation.Enabled, r.Rotation.FunctionARN
	if rules := rulesOf(r.Rotation); rules != (rotationRules{}) {
		e.RotationRules = &rules
	}
	if !r.Rotation.Enabled {
		return e
	}
	e.LastRotatedDate = epoch{r.Rotation.RotatedAt}
	if at := nextByRules(r); !at.IsZero() {
		e.NextRotationDate = epoch{windowEnd(r.Rotation, at)}
	}
	return e
}

// ownKey is the secret's KMS key, "" for the one that's used by default.
func ownKey(r record.Record) string {
	const standard = "alias/aws/secretsmanager"
	if r.KMSKeyID == standard || strings.HasPrefix(r.KMSKeyID, "arn:") && strings.HasSuffix(r.KMSKeyID, ":"+standard) {
		return ""
	}
	return r.KMSKeyID
}

type description struct {
	secretEntry
	VersionIDsToStages map[string][]string `json:"VersionIdsToStages,omitempty"`
}

func describeSecret(ctx context.Context, s *Server, g *record.Guarded, in *secretRequest) (*description, error) {
	t := s.parseID(in.SecretID)
	r, err := g.View(ctx, t.name)
	if err != nil {
		return nil, err
	}
	if err := t.match(r); err != nil {
		return nil, err
	}
	managed, err := s.managedSecrets(ctx, r)
	if err != nil {
		return nil, err
	}
	return &description{s.entry(r, managed), stages(r)}, nil
}

type listSecretVersionIDsRequest struct {
	SecretID          string `json:"SecretId"`
	MaxResults        *int64
	NextToken         string
	IncludeDeprecated bool
}

func (r *listSecretVersionIDsRequest) check() error {
	return firstError(checkSecretID(r.SecretID), checkRange("maxResults", r.MaxResults, 1, maxPage), checkLength("nextToken", r.NextToken, 0, maxToken))
}

type versionEntry struct {
	VersionID        string   `json:"VersionId"`
	VersionStages    []string `json:",omitempty"`
	CreatedDate      epoch
	LastAccessedDate epoch    `json:",omitzero"`
	KMSKeyIDs        []string `json:"KmsKeyIds"`
}

type versionList struct {
	ARN       string
	Name      string
	Versions  []versionEntry
	NextToken string `json:",omitempty"`
}

// listSecretVersionIDs lists the versions that have a value, in order of
// creation. The token is the index of the next version.
func listSecretVersionIDs(ctx context.Context, s *Server, g *record.Guarded, in *listSecretVersionIDsRequest) (*versionList, error) {
	t := s.parseID(in.SecretID)
	r, err := g.View(ctx, t.name)
	if err != nil {
		return nil, err
	}
	if err := t.match(r); err != nil {
		return nil, err
	}
	limit := maxPage
	if in.MaxResults != nil {
		limit = int(*in.MaxResults)
	}
	from := 0
	if in.NextToken != "" {
		if err := s.openToken(ctx, in.NextToken, &from); err != nil {
			return nil, err
		}
	}
	key := cmp.Or(ownKey(r), "DefaultEncryptionKey")
	out := &versionList{ARN: s.ARN(r), Name: r.Name, Versions: []versionEntry{}}
	for i, v := range r.Versions {
		if i < from || v.Empty || (len(v.Labels) == 0 && !in.IncludeDeprecated) {
			continue
		}
		if len(out.Versions) == limit {
			if out.NextToken, err = s.sealToken(ctx, i); err != nil {
				return nil, err
			}
			break
		}
		out.Versions = append(out.Versions, versionEntry{v.ID, v.Labels, epoch{v.CreatedAt}, epoch{v.AccessedAt}, []string{key}})
	}
	return out, nil
}
