package aws

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/rota-dev/rota"
)

const (
	maxValue               = 65536 // bytes of a secret's value
	maxLabels              = 20    // labels a version
	minVersion, maxVersion = 32, 64

	// emptyVersion is the id of the version that holds AWSCURRENT until the
	// first credential is promoted. Secrets Manager gives AWSCURRENT to the
	// first version of a secret whatever labels are asked for, and a credential
	// that was never tested must not be current. Its value is an empty JSON
	// object. Rota's versions don't include it: to Rota nothing is current then.
	emptyVersion = "rota-empty-00000000000000000000000000"
	// emptyLabel shows people what that version is for.
	emptyLabel = "ROTA_EMPTY"
	emptyValue = "{}"
)

// SecretsManagerConfig names one secret.
type SecretsManagerConfig struct {
	// Name is the secret's name, or its full ARN; only a name can be created.
	Name string
	// Fields are the names of the credential's fields in the secret's JSON
	// object. With the zero map, they keep their own names, and every string in
	// the object is read as a field of the credential.
	Fields rota.FieldMap
	// KMSKeyID encrypts the secret if Rota creates it. Defaults to
	// aws/secretsmanager.
	KMSKeyID string
	// Tags are put on the secret if Rota creates it.
	Tags map[string]string
}

// secretStore keeps one secret in Secrets Manager. The credential is merged into
// the JSON object of the current version, and all other fields stay as they are.
// A value that isn't a JSON object is always refused: a consumer that expects
// plain text would break on JSON, and vice versa.
type secretStore struct {
	connection *Connection
	cfg        SecretsManagerConfig

	mu      sync.Mutex
	created map[string]time.Time // by version; a version's date never changes
}

var (
	_ rota.Store       = (*secretStore)(nil)
	_ rota.Preflighter = (*secretStore)(nil)
)

// SecretsManager returns a store that keeps one secret in Secrets Manager.
func (c *Connection) SecretsManager(cfg SecretsManagerConfig) rota.Store {
	cfg.Tags = maps.Clone(cfg.Tags)
	return &secretStore{connection: c, cfg: cfg, created: map[string]time.Time{}}
}

// op names the operation in errors.
func (s *secretStore) op(verb string) string { return verb + " secret " + s.cfg.Name }

func (s *secretStore) fail(verb string, err error) error { return s.connection.fail(s.op(verb), err) }

// look calls DescribeSecret. It returns nil if the secret doesn't exist.
func (s *secretStore) look(ctx context.Context) (*secretsmanager.DescribeSecretOutput, error) {
	out, err := s.connection.secrets.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &s.cfg.Name})
	if _, missing := errors.AsType[*types.ResourceNotFoundException](err); missing {
		return nil, nil
	}
	if err != nil {
		return nil, s.fail("describe", err)
	}
	if out.DeletedDate != nil {
		return nil, s.connection.refuse(s.op("describe"), "aws secretsmanager restore-secret --secret-id "+s.cfg.Name+", or another name",
			fmt.Errorf("scheduled for deletion since %s", out.DeletedDate.UTC().Format(time.DateOnly)))
	}
	return out, nil
}

// holder returns the version that carries a label, "" if none does.
func holder(out *secretsmanager.DescribeSecretOutput, label rota.Label) string {
	if out != nil {
		for id, labels := range out.VersionIdsToStages {
			if slices.Contains(labels, string(label)) {
				return id
			}
		}
	}
	return ""
}

// Describe implements [rota.Store].
func (s *secretStore) Describe(ctx context.Context) (rota.Contents, error) {
	out, err := s.look(ctx)
	if err != nil || out == nil {
		return rota.Contents{}, err
	}
	contents := rota.Contents{ChangedAt: awssdk.ToTime(out.LastChangedDate).UTC()}
	if out.LastChangedDate == nil {
		contents.ChangedAt = awssdk.ToTime(out.CreatedDate).UTC()
	}
	ids := slices.DeleteFunc(slices.Sorted(maps.Keys(out.VersionIdsToStages)), func(id string) bool {
		return id == emptyVersion || len(out.VersionIdsToStages[id]) == 0
	})
	announced := ""
	if id := holder(out, rota.LabelPending); id != "" && slices.Equal(out.VersionIdsToStages[id], []string{string(rota.LabelPending)}) && !(rota.Version{ID: id}).Ours() {
		announced = id
	}
	dates, err := s.dates(ctx, ids, announced)
	if err != nil {
		return rota.Contents{}, err
	}
	for _, id := range ids {
		v := rota.Version{ID: id, CreatedAt: dates[id]}
		if v.CreatedAt.IsZero() {
			v.CreatedAt = contents.ChangedAt // announced, with the secret's last change at the latest
		}
		for _, label := range slices.Sorted(slices.Values(out.VersionIdsToStages[id])) {
			v.Labels = append(v.Labels, rota.Label(label))
		}
		contents.Versions = append(contents.Versions, v)
	}
	slices.SortStableFunc(contents.Versions, func(a, b rota.Version) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return contents, nil
}

// dates returns when the versions were created. It asks AWS only about versions
// that it hasn't seen before. A version that's merely announced, as when Secrets
// Manager starts its own rotation, has no value yet and might not be listed.
func (s *secretStore) dates(ctx context.Context, ids []string, announced string) (map[string]time.Time, error) {
	s.mu.Lock()
	known := make(map[string]time.Time, len(ids))
	for _, id := range ids {
		if at, ok := s.created[id]; ok {
			known[id] = at
		}
	}
	s.created = maps.Clone(known) // forgets the versions that are gone
	s.mu.Unlock()
	if len(known) == len(ids) {
		return known, nil
	}
	pages := secretsmanager.NewListSecretVersionIdsPaginator(s.connection.secrets, &secretsmanager.ListSecretVersionIdsInput{
		SecretId: &s.cfg.Name, MaxResults: awssdk.Int32(100),
	}, func(o *secretsmanager.ListSecretVersionIdsPaginatorOptions) { o.StopOnDuplicateToken = true })
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, s.fail("list versions of", err)
		}
		for _, v := range page.Versions {
			if id := awssdk.ToString(v.VersionId); v.CreatedDate != nil && slices.Contains(ids, id) {
				if _, seen := known[id]; !seen {
					known[id] = v.CreatedDate.UTC()
				}
			}
		}
	}
	for _, id := range ids {
		if _, ok := known[id]; !ok && id != announced { // a version of unknown age must not look old
			return nil, &rota.Error{System: s.connection.system(), Connection: s.connection.name, Op: s.op("list versions of"), Class: rota.ClassWait,
				Err: fmt.Errorf("the date of version %s is not listed yet", id)}
		}
	}
	s.mu.Lock()
	maps.Copy(s.created, known)
	s.mu.Unlock()
	return known, nil
}

// errNoValue means that the version doesn't exist, or has no value yet.
var errNoValue = fmt.Errorf("no such version, or no value in it yet: %w", rota.ErrNotFound)

// read returns the JSON object in a version.
func (s *secretStore) read(ctx context.Context, version string) (document, error) {
	if len(version) < minVersion || len(version) > maxVersion { // no id that Secrets Manager could know
		return document{}, s.connection.refuse(s.op("read version "+version+" of"), "", errNoValue)
	}
	out, err := s.connection.secrets.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &s.cfg.Name, VersionId: &version})
	if _, missing := errors.AsType[*types.ResourceNotFoundException](err); missing {
		return document{}, s.connection.refuse(s.op("read version "+version+" of"), "", errNoValue)
	}
	if err != nil {
		return document{}, s.fail("read version "+version+" of", err)
	}
	if awssdk.ToString(out.VersionId) != version { // never another version's value
		return document{}, s.fail("read version "+version+" of", errUnreadable)
	}
	if out.SecretString == nil {
		return document{}, s.notObject(version)
	}
	doc, err := parseDocument(*out.SecretString)
	if err != nil {
		return document{}, s.notObject(version)
	}
	return doc, nil
}

func (s *secretStore) notObject(version string) error {
	return s.connection.refuse(s.op("read version "+version+" of"),
		`a secret whose value is an object such as {"username": "…", "password": "…"}; Rota keeps the fields that it does not know`, errNotObject)
}

// Get implements [rota.Store].
func (s *secretStore) Get(ctx context.Context, r rota.GetRequest) (rota.Credential, error) {
	doc, err := s.read(ctx, r.Version)
	if err != nil {
		return rota.Credential{}, err
	}
	return s.cfg.Fields.Read(doc.texts()), nil
}
