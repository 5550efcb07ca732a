package config

import (
	"context"
	"errors"

	"rota"
	"rota/provider/aws"
)

func (w *wiring) awsConnection(ctx context.Context, name string) (*aws.Connection, error) {
	return once(w.aws, name, func() (*aws.Connection, error) {
		c, r := w.file.Document.Connections[name].AWS, w.reader(ctx)
		cfg := aws.Config{
			Region:          r.text(c.Region),
			Profile:         r.text(c.Profile),
			RoleARN:         r.text(c.RoleARN),
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

func (w *wiring) iamAccessKey(ctx context.Context, i Issuer) (rota.Issuer, error) {
	r := w.reader(ctx)
	cfg := aws.AccessKeysConfig{User: r.text(i.IAMAccessKey.User)}
	c, err := w.awsConnection(ctx, i.Connection.Text)
	if err := errors.Join(err, r.err()); err != nil {
		return nil, err
	}
	return c.AccessKeys(cfg), nil
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
