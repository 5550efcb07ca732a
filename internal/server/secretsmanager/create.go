package secretsmanager

import (
	"context"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/randompassword"
	"github.com/rota-dev/rota/internal/store/record"
	"github.com/rota-dev/rota/rotation"
)

type createSecretRequest struct {
	Name string
	content
	Description                 *string
	KMSKeyID                    *string `json:"KmsKeyId"`
	Type                        *string
	Tags                        []tag
	AddReplicaRegions           []struct{ Region string }
	ForceOverwriteReplicaSecret bool
	CrossAccountPrimaryARN      string
}

func (r *createSecretRequest) check() error {
	if len(r.AddReplicaRegions) > 0 || r.CrossAccountPrimaryARN != "" {
		return errReplication()
	}
	err := firstError(checkName(r.Name), checkDetails(r.Description, r.KMSKeyID, r.Type), checkTags(r.Tags))
	if err == nil && r.hasValue() {
		err = r.content.check()
	}
	return err
}

func checkDetails(description, key, kind *string) error {
	return firstError(checkOptionalLength("description", description, 0, maxDescription), checkOptionalLength("kmsKeyId", key, 0, maxKMSKey), checkOptionalLength("type", kind, 0, maxType))
}

// setDetails applies what a request says besides the value.
func setDetails(r *record.Record, description, key, kind *string) {
	if description != nil {
		r.Description = *description
	}
	if key != nil {
		r.KMSKeyID = *key
	}
	if kind != nil {
		r.Type = *kind
	}
}

func createSecret(ctx context.Context, s *Server, g *record.Guarded, in *createSecretRequest) (*secretOutput, error) {
	suffix := randompassword.String(s.opts.Random, randompassword.Alphanumeric, 6)
	var out secretOutput
	act := record.Operation{Action: access.Write, Op: rotation.OpCreateSecret}
	if err := s.checkReservedTags(ctx, g, act.Op, in.Name, tagKeys(in.Tags)...); err != nil {
		return nil, err
	}
	if in.hasValue() {
		act.Version = in.ClientRequestToken
		if err := s.checkReserved(ctx, g, act.Op, in.Name, act.Version); err != nil {
			return nil, err
		}
	}
	err := g.Update(ctx, in.Name, act, func(c *record.Change) error {
		if c.Exists {
			if err := in.checkRepeated(c, s); err != nil {
				return err
			}
		} else {
			c.Suffix, c.CreatedAt, c.ChangedAt = suffix, c.Now, c.Now
			setDetails(&c.Record, in.Description, in.KMSKeyID, in.Type)
			if err := addTags(&c.Record, in.Tags); err != nil {
				return err
			}
			if in.hasValue() {
				if err := in.addVersion(c, s); err != nil {
					return err
				}
				attach(c, labelCurrent, in.ClientRequestToken)
			}
		}
		out = s.output(c.Record)
		if in.hasValue() {
			out.VersionID = in.ClientRequestToken
		}
		return nil
	})
	return &out, err
}

// checkRepeated returns nil if the creation of an existing secret repeats the
// same request: the same token with the same value.
func (r *createSecretRequest) checkRepeated(c *record.Change, s *Server) error {
	if !c.DeleteAt.IsZero() {
		return errInvalidRequest("You can't create this secret because a secret with this name is already scheduled for deletion.")
	}
	if r.hasValue() {
		if same, err := repeated(c, &r.content); same || err != nil {
			return err
		}
		if c.Version(r.ClientRequestToken) != nil {
			return s.errTokenInUse(c.Record, r.ClientRequestToken)
		}
	}
	return newError("ResourceExistsException", "The operation failed because the secret "+c.Name+" already exists.")
}

type updateSecretRequest struct {
	SecretID string `json:"SecretId"`
	content
	Description *string
	KMSKeyID    *string `json:"KmsKeyId"`
	Type        *string
}

func (r *updateSecretRequest) check() error {
	err := firstError(checkSecretID(r.SecretID), checkDetails(r.Description, r.KMSKeyID, r.Type))
	if err == nil && r.hasValue() {
		err = r.content.check()
	}
	return err
}

func updateSecret(ctx context.Context, s *Server, g *record.Guarded, in *updateSecretRequest) (*secretOutput, error) {
	t := s.parseID(in.SecretID)
	var out secretOutput
	act := record.Operation{Action: access.Write, Op: rotation.OpUpdate}
	if in.hasValue() {
		act.Version = in.ClientRequestToken
		if err := s.checkReserved(ctx, g, act.Op, t.name, act.Version); err != nil {
			return nil, err
		}
	}
	err := g.Update(ctx, t.name, act, func(c *record.Change) error {
		if err := t.checkChangeable(c); err != nil {
			return err
		}
		setDetails(&c.Record, in.Description, in.KMSKeyID, in.Type)
		c.ChangedAt = c.Now
		out = s.output(c.Record)
		if !in.hasValue() {
			return nil
		}
		out.VersionID = in.ClientRequestToken
		if again, err := repeated(c, &in.content); again || err != nil {
			return err // a late retry doesn't move labels back
		}
		if err := in.addVersion(c, s); err != nil {
			return err
		}
		attach(c, labelCurrent, in.ClientRequestToken)
		return checkLabelQuota(c.Record)
	})
	return &out, err
}
