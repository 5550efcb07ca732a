package aws

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/rota-dev/rota"
)

// Put implements [rota.Store]. It creates the secret if it doesn't exist.
func (s *secretStore) Put(ctx context.Context, r rota.PutRequest) error {
	return rota.Sanitize(s.put(ctx, r), r.Credential)
}

func (s *secretStore) put(ctx context.Context, r rota.PutRequest) error {
	op := s.op("put version " + r.Version + " of")
	if err := checkPut(r); err != nil {
		return s.connection.refuse(op, "", err)
	}
	values, err := s.cfg.Fields.Render(r.Credential)
	if err != nil {
		return s.connection.refuse(op, "fields that the issuer's credentials have", err)
	}
	// A repeated Put must not look at AWSCURRENT, which might hold other fields by
	// now: the merged text would differ from what was stored.
	if known, err := s.sameAs(ctx, r.Version, values); known || err != nil {
		return err
	}
	base, err := s.base(ctx)
	if err != nil {
		return err
	}
	text, err := base.merge(values)
	if err != nil {
		return s.connection.refuse(op, "", err)
	}
	if len(text) > maxValue {
		return s.connection.refuse(op, "fewer fields in the secret",
			fmt.Errorf("the secret would have %d bytes, and Secrets Manager takes %d", len(text), maxValue))
	}
	labels := make([]string, len(r.Labels))
	for i, l := range r.Labels {
		labels[i] = string(l)
	}
	_, err = s.connection.secrets.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{
		SecretId:           &s.cfg.Name,
		ClientRequestToken: &r.Version,
		SecretString:       &text,
		RotationToken:      rotationToken(ctx),
		VersionStages:      labels, // without any, AWS would promote at once
	})
	if _, exists := errors.AsType[*types.ResourceExistsException](err); exists {
		if known, err := s.sameAs(ctx, r.Version, values); known || err != nil {
			return err
		}
	}
	if _, missing := errors.AsType[*types.ResourceNotFoundException](err); missing { // created just now, or deleted: the next try sees
		e := classify(err)
		return &rota.Error{System: s.connection.system(), Connection: s.connection.name, Op: op, Class: rota.ClassWait, Err: e.Err}
	}
	return s.connection.fail(op, err)
}

func checkPut(r rota.PutRequest) error {
	switch {
	case len(r.Version) < minVersion || len(r.Version) > maxVersion:
		return fmt.Errorf("the version's id has %d characters, and Secrets Manager takes %d to %d", len(r.Version), minVersion, maxVersion)
	case len(r.Labels) == 0:
		return errors.New("no label, and Secrets Manager would make the version current")
	case len(r.Labels) > maxLabels:
		return fmt.Errorf("%d labels, and Secrets Manager takes %d a version", len(r.Labels), maxLabels)
	case r.Credential.IsZero():
		return errors.New("the credential is empty")
	}
	return nil
}

// sameAs reports whether the version already exists with these values. If it has
// others, it returns [rota.ErrConflict].
func (s *secretStore) sameAs(ctx context.Context, version string, values map[string]string) (bool, error) {
	doc, err := s.read(ctx, version)
	switch {
	case errors.Is(err, rota.ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	case !doc.carries(values):
		return false, s.connection.refuse(s.op("put version "+version+" of"), "",
			fmt.Errorf("the version exists with another credential: %w", rota.ErrConflict))
	}
	return true, nil
}

// base returns the object to merge into: the current version's. A secret that
// doesn't exist, or has no current version, gets an empty one first.
func (s *secretStore) base(ctx context.Context) (document, error) {
	out, err := s.look(ctx)
	if err != nil {
		return document{}, err
	}
	if current := holder(out, rota.LabelCurrent); current != "" {
		doc, err := s.read(ctx, current)
		if !errors.Is(err, rota.ErrNotFound) {
			return doc, err
		}
	} else if err := s.putEmpty(ctx, out == nil); err != nil {
		return document{}, err
	}
	return parseDocument(emptyValue)
}

func (s *secretStore) putEmpty(ctx context.Context, create bool) error {
	if create {
		err := s.create(ctx)
		if _, exists := errors.AsType[*types.ResourceExistsException](err); !exists {
			return s.fail("create", err)
		}
	}
	// Not AWSCURRENT: if the description was stale, this would take it off a good
	// version. If this is the first version, AWS adds AWSCURRENT.
	_, err := s.connection.secrets.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{
		SecretId:           &s.cfg.Name,
		ClientRequestToken: awssdk.String(emptyVersion),
		SecretString:       awssdk.String(emptyValue),
		VersionStages:      []string{emptyLabel},
	})
	return s.fail("put an empty version of", err)
}

func (s *secretStore) create(ctx context.Context) error {
	if s.exists() {
		return &types.ResourceNotFoundException{Message: awssdk.String("no such secret, and an ARN can't be created; a name can")}
	}
	in := &secretsmanager.CreateSecretInput{
		Name:               &s.cfg.Name,
		Description:        awssdk.String("Kept fresh by Rota"),
		ClientRequestToken: awssdk.String(emptyVersion),
		SecretString:       awssdk.String(emptyValue),
	}
	if s.cfg.KMSKeyID != "" {
		in.KmsKeyId = &s.cfg.KMSKeyID
	}
	for _, key := range slices.Sorted(maps.Keys(s.cfg.Tags)) {
		in.Tags = append(in.Tags, types.Tag{Key: awssdk.String(key), Value: awssdk.String(s.cfg.Tags[key])})
	}
	_, err := s.connection.secrets.CreateSecret(ctx, in)
	return err
}
