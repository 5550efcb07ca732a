package config

import (
	"cmp"
	"context"
	"errors"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/aws"
)

func (w *wiring) awsConnection(ctx context.Context, name string) (*aws.Connection, error) {
	return once(w.aws, name, func() (*aws.Connection, error) {
		c, r := w.file.Document.Connections[name].AWS, w.reader(ctx)
		cfg := aws.Config{
			Region:          r.text(c.Region),
			Profile:         r.text(c.Profile),
			RoleARN:         r.text(c.RoleARN),
			Chain:           r.list(c.Chain),
			ExternalID:      r.text(c.ExternalID),
			SessionName:     r.text(c.SessionName),
			Endpoint:        r.text(c.Endpoint),
			AccessKeyID:     r.text(c.AccessKeyID),
			SecretAccessKey: r.text(c.SecretAccessKey),
			SessionToken:    r.text(c.SessionToken),
			Budget:          w.env.Budget,
		}
		if err := r.err(); err != nil {
			return nil, err
		}
		return aws.New(ctx, name, cfg)
	})
}

func (w *wiring) iamAccessKey(ctx context.Context, s *Secret) (rota.Issuer, error) {
	r := w.reader(ctx)
	cfg := aws.AccessKeysConfig{
		User:     r.text(s.Issuer.IAMAccessKey.User),
		NoAdvice: cmp.Or(s.Advice.Text, w.file.Document.Defaults.Advice.Text) == "off",
	}
	for _, t := range s.Target {
		cfg.Targets = append(cfg.Targets, t.kind())
	}
	c, err := w.awsConnection(ctx, s.Issuer.Connection.Text)
	if err := errors.Join(err, r.err()); err != nil {
		return nil, err
	}
	return c.AccessKeys(cfg), nil
}

func (w *wiring) assumeRole(ctx context.Context, i Issuer) (rota.Issuer, error) {
	r := w.reader(ctx)
	cfg := i.AssumeRole.config(r.text)
	c, err := w.awsConnection(ctx, i.Connection.Text)
	if err := errors.Join(err, r.err()); err != nil {
		return nil, err
	}
	return c.AssumedRole(cfg)
}

func (w *wiring) parameter(ctx context.Context, t *Target) (rota.Target, error) {
	r, p := w.reader(ctx), t.SSMParameter
	cfg := aws.ParameterConfig{
		Target: t.Name.Text,
		Name:   r.text(p.Name),
		Type:   p.Type.Text,
		KeyID:  r.text(p.KeyID),
		Tier:   p.Tier.Text,
		Fields: r.fields(p.Fields),
	}
	if p.Field.IsSet() {
		cfg.Value = r.fields(map[string]Plain{"field": p.Field})
	}
	c, err := w.awsConnection(ctx, p.Connection.Text)
	if err := errors.Join(err, r.err()); err != nil {
		return nil, err
	}
	return c.Parameter(cfg), nil
}

func (w *wiring) secretsManager(ctx context.Context, s *Store) (rota.Store, error) {
	r := w.reader(ctx)
	cfg := aws.SecretsManagerConfig{
		Name:     r.text(s.SecretsManager.Name),
		Fields:   r.fields(s.SecretsManager.Fields),
		KMSKeyID: r.text(s.SecretsManager.KMSKeyID),
		Tags:     r.texts(s.SecretsManager.Tags),
	}
	c, err := w.awsConnection(ctx, s.Connection.Text)
	if err := errors.Join(err, r.err()); err != nil {
		return nil, err
	}
	return c.SecretsManager(cfg), nil
}

func (w *wiring) bucket(ctx context.Context, connection string, name Text) (rota.Check, error) {
	r := w.reader(ctx)
	bucket := r.text(name)
	c, err := w.awsConnection(ctx, connection)
	if err := errors.Join(err, r.err()); err != nil {
		return nil, err
	}
	return c.Bucket(bucket), nil
}

func (w *wiring) topic(ctx context.Context, s *SNS) (rota.Notifier, error) {
	r := w.reader(ctx)
	arn := r.text(s.TopicARN)
	c, err := w.awsConnection(ctx, s.Connection.Text)
	if err := errors.Join(err, r.err()); err != nil {
		return nil, err
	}
	return c.Topic(arn), nil
}
