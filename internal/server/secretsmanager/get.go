package secretsmanager

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/rota-dev/rota/internal/store/record"
)

type getSecretValueRequest struct {
	SecretID     string `json:"SecretId"`
	VersionID    string `json:"VersionId"`
	VersionStage string
}

func (r *getSecretValueRequest) check() error {
	return firstError(checkSecretID(r.SecretID), checkVersionID("versionId", r.VersionID), checkLength("versionStage", r.VersionStage, 0, 256))
}

// secretValue is GetSecretValue's response, and an entry of
// BatchGetSecretValue's.
type secretValue struct {
	ARN           string
	Name          string
	VersionID     string  `json:"VersionId"`
	SecretString  *string `json:",omitempty"`
	SecretBinary  []byte  `json:",omitempty"`
	VersionStages []string
	CreatedDate   epoch
}

func getSecretValue(ctx context.Context, s *Server, g *record.Guarded, in *getSecretValueRequest) (*secretValue, error) {
	return s.value(ctx, g, in.SecretID, in.VersionID, in.VersionStage)
}

// value reads a version found by id, by label or by both; without either, the
// current one.
func (s *Server) value(ctx context.Context, g *record.Guarded, secretID, id, label string) (*secretValue, error) {
	t := s.parseID(secretID)
	var version *record.Version
	r, v, err := g.ReadVersion(ctx, t.name, func(r record.Record) (string, error) {
		if err := t.checkUsable(r); err != nil {
			return "", err
		}
		var err error
		version, err = find(&r, id, label)
		if err != nil {
			return "", err
		}
		if s.opts.Reads != nil && s.isManaged(t.name) {
			if err := s.opts.Reads(ctx, g.Caller(), t.name, version.ID); err != nil {
				return "", err
			}
		}
		return version.ID, nil
	})
	if errors.Is(err, record.ErrNotFound) && version != nil {
		return nil, errNoValue(id, label)
	}
	if err != nil {
		return nil, err
	}
	return &secretValue{
		ARN: s.ARN(r), Name: r.Name, VersionID: version.ID, SecretString: v.Text, SecretBinary: v.Binary,
		VersionStages: version.Labels, CreatedDate: epoch{version.CreatedAt},
	}, nil
}

// find returns the version for GetSecretValue, which must have a value.
func find(r *record.Record, id, label string) (*record.Version, error) {
	if id == "" && label == "" {
		label = labelCurrent
	}
	v := r.Holder(label)
	if id != "" {
		v = r.Version(id)
	}
	switch {
	case v == nil:
		return nil, errNoValue(id, label)
	case label != "" && !slices.Contains(v.Labels, label):
		return nil, errInvalidRequest("You provided a VersionStage that is not associated to the provided VersionId.")
	case v.Empty:
		return nil, errNoValue(id, label)
	}
	return v, nil
}

func errNoValue(id, label string) error {
	if id != "" {
		return errNotFound("Secrets Manager can't find the specified secret value for VersionId: " + id)
	}
	if label == "" {
		label = labelCurrent
	}
	return errNotFound("Secrets Manager can't find the specified secret value for staging label: " + label)
}

// maxBatch is how many secrets BatchGetSecretValue reads at most.
const maxBatch = 20

type batchGetSecretValueRequest struct {
	SecretIDList []string `json:"SecretIdList"`
	Filters      []filter
	MaxResults   *int64
	NextToken    string
}

func (r *batchGetSecretValueRequest) check() error {
	if (len(r.SecretIDList) == 0) == (len(r.Filters) == 0) {
		return errInvalidParameter("You must include either SecretIdList or Filters, but not both.")
	}
	if len(r.Filters) == 0 && (r.MaxResults != nil || r.NextToken != "") {
		return errInvalidParameter("MaxResults and NextToken are for Filters; you can't use them with SecretIdList.")
	}
	if len(r.SecretIDList) > maxBatch {
		return violation("secretIdList", "Member must have length less than or equal to 20")
	}
	for _, id := range r.SecretIDList {
		if err := checkSecretID(id); err != nil {
			return err
		}
	}
	return firstError(checkFilters(r.Filters), checkRange("maxResults", r.MaxResults, 1, maxBatch), checkLength("nextToken", r.NextToken, 0, maxToken))
}

type batchError struct {
	SecretID  string `json:"SecretId"`
	ErrorCode string
	Message   string
}

type batchOutput struct {
	SecretValues []*secretValue
	Errors       []batchError
	NextToken    string `json:",omitempty"`
}

func batchGetSecretValue(ctx context.Context, s *Server, g *record.Guarded, in *batchGetSecretValueRequest) (*batchOutput, error) {
	out := &batchOutput{SecretValues: []*secretValue{}, Errors: []batchError{}}
	ids := in.SecretIDList
	if len(in.Filters) > 0 {
		limit := maxBatch
		if in.MaxResults != nil {
			limit = int(*in.MaxResults)
		}
		found, next, err := scan(ctx, s, g, search{filters: in.Filters, by: record.ByCreation, limit: limit, token: in.NextToken})
		if err != nil {
			return nil, err
		}
		out.NextToken = next
		for _, r := range found {
			ids = append(ids, s.ARN(r))
		}
	}
	values, errs := make([]*secretValue, len(ids)), make([]error, len(ids))
	var reads sync.WaitGroup // concurrently, so that their audit entries share a commit
	for i, id := range ids {
		reads.Go(func() { values[i], errs[i] = s.value(ctx, g, id, "", "") })
	}
	reads.Wait()
	for i, id := range ids {
		if errs[i] == nil {
			out.SecretValues = append(out.SecretValues, values[i])
			continue
		}
		e := s.explain("GetSecretValue", errs[i])
		if e.Status >= 500 {
			return nil, errs[i]
		}
		out.Errors = append(out.Errors, batchError{id, e.Code, e.Message})
	}
	return out, nil
}
