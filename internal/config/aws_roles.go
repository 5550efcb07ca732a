package config

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rota-dev/rota/provider/aws"
)

// AWSRole is a part that an aws connection plays for a secret.
type AWSRole struct {
	aws.PermissionHolder
	// Secret is the secret's name, "" for the server's own.
	Secret string
	// Entry is the name of the secret's entry in Secrets Manager, "" where the
	// role is another.
	Entry string
}

// AWSRoles are all parts that aws connections play for the named secrets, or
// for all secrets and the server where no name is given. They are made as for
// [File.Wire], but nothing of other systems is: what only those need may be
// missing.
func (f *File) AWSRoles(ctx context.Context, env Environment, names []string) ([]AWSRole, error) {
	w := newWiring(f, env)
	var roles []AWSRole
	var errs []error
	for _, s := range f.Document.Secrets {
		if len(names) > 0 && !slices.Contains(names, s.Name.Text) {
			continue
		}
		found, err := w.awsRoles(ctx, s)
		if err != nil {
			errs = append(errs, fmt.Errorf("secret %s: %w", s.Name.Text, err))
		}
		roles = append(roles, found...)
	}
	if len(names) == 0 {
		found, err := w.awsAnchors(ctx)
		errs = append(errs, err)
		roles = append(roles, found...)
	}
	return roles, errors.Join(errs...)
}

// awsRoles are the roles of one secret.
func (w *wiring) awsRoles(ctx context.Context, s *Secret) ([]AWSRole, error) {
	var roles []AWSRole
	var errs []error
	keep := func(part any, entry string, err error) {
		errs = append(errs, err)
		if role, ok := part.(aws.PermissionHolder); ok && err == nil {
			roles = append(roles, AWSRole{PermissionHolder: role, Secret: s.Name.Text, Entry: entry})
		}
	}
	if s.Issuer.IAMAccessKey != nil {
		issuer, err := w.iamAccessKey(ctx, s)
		keep(issuer, "", err)
	}
	if s.Issuer.AssumeRole != nil {
		issuer, err := w.assumeRole(ctx, s.Issuer)
		keep(issuer, "", err)
	}
	for _, t := range s.Target {
		if t.SSMParameter != nil {
			target, err := w.parameter(ctx, t)
			keep(target, "", err)
		}
	}
	if s.Store != nil && s.Store.SecretsManager != nil {
		r := w.reader(ctx)
		store, err := w.secretsManager(ctx, s.Store)
		keep(store, r.text(s.Store.SecretsManager.Name), err)
	}
	for _, c := range s.Test {
		if c.S3Bucket.IsSet() {
			check, err := w.bucket(ctx, s.Issuer.Connection.Text, c.S3Bucket)
			keep(check, "", err)
		}
	}
	for _, n := range w.file.Document.notices(s) {
		if topic := w.file.Document.Connections[n.Parts.Connection.Text].SNS; topic != nil {
			notifier, err := w.topic(ctx, topic)
			keep(notifier, "", err)
		}
	}
	return roles, errors.Join(errs...)
}

// awsAnchors are the buckets that keep the audit's heads.
func (w *wiring) awsAnchors(ctx context.Context) ([]AWSRole, error) {
	audit := w.file.Document.Server.Audit
	if audit == nil {
		return nil, nil
	}
	r := w.reader(ctx)
	var roles []AWSRole
	for _, x := range audit.Anchors {
		if x.S3 == nil {
			continue
		}
		s := r.anchor(x)
		c, err := w.awsConnection(ctx, s.Connection)
		if err != nil {
			return nil, err
		}
		roles = append(roles, AWSRole{PermissionHolder: c.Archive(s.Bucket, s.Prefix)})
	}
	return roles, r.err()
}

// AWSConnections are the file's aws connections with these names, or all of
// them, sorted by name. One that can't be made goes into the errors, by name.
func (f *File) AWSConnections(ctx context.Context, env Environment, names []string) ([]*aws.Connection, map[string]error) {
	w := newWiring(f, env)
	var connections []*aws.Connection
	failed := map[string]error{}
	for _, name := range sortedNames(f.Document.Connections) {
		if f.Document.Connections[name].AWS == nil || (len(names) > 0 && !slices.Contains(names, name)) {
			continue
		}
		c, err := w.awsConnection(ctx, name)
		if err != nil {
			failed[name] = err
			continue
		}
		connections = append(connections, c)
	}
	return connections, failed
}
