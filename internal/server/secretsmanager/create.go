package secretsmanager

import (
	"context"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/store/record"
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
	err := all(checkName(r.Name), checkDetails(r.Description, r.KMSKeyID, r.Type), checkTags(r.Tags))
	if err == nil && r.given() {
		err = r.content.check()
	}
	return err
}

func checkDetails(description, key, kind *string) error {
	return all(optional("description", description, 0, maxDescription), optional("kmsKeyId", key, 0, maxKMSKey), optional("type", kind, 0, maxType))
}

// describe takes over what a request says beside the value.
func describe(r *record.Record, description, key, kind *string) {
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

func createSecret(ctx context.Context, s *Server, g *record.Guarded, in *createSecretRequest) (*secretAnswer, error) {
	suffix := s.pick(alphanumeric, 6)
	var out secretAnswer
	act := record.Operation{Action: access.Write, Op: "create secret"}
	if in.given() {
		act.Version = in.ClientRequestToken
	}
	err := g.Update(ctx, in.Name, act, func(c *record.Change) error {
		if c.Exists {
			if err := in.again(c); err != nil {
				return err
			}
		} else {
			c.Suffix, c.CreatedAt, c.ChangedAt = suffix, c.Now, c.Now
			describe(&c.Record, in.Description, in.KMSKeyID, in.Type)
			if err := addTags(&c.Record, in.Tags); err != nil {
				return err
			}
			if in.given() {
				if err := in.add(c, s); err != nil {
					return err
				}
				attach(c, labelCurrent, in.ClientRequestToken)
			}
		}
		out = s.answer(c.Record)
		if in.given() {
			out.VersionID = in.ClientRequestToken
		}
		return nil
	})
	return &out, err
}

// again is nil for a creation of a secret that is there where it is the same
// request once more: the same token with the same value.
func (r *createSecretRequest) again(c *record.Change) error {
	if !c.DeleteAt.IsZero() {
		return errInvalidRequest("You can't create this secret because a secret with this name is already scheduled for deletion.")
	}
	if r.given() {
		if same, err := repeated(c, &r.content); same || err != nil {
			return err
		}
	}
	return refuse("ResourceExistsException", "The operation failed because the secret "+c.Name+" already exists.")
}

type updateSecretRequest struct {
	SecretID string `json:"SecretId"`
	content
	Description *string
	KMSKeyID    *string `json:"KmsKeyId"`
	Type        *string
}

func (r *updateSecretRequest) check() error {
	err := all(checkSecretID(r.SecretID), checkDetails(r.Description, r.KMSKeyID, r.Type))
	if err == nil && r.given() {
		err = r.content.check()
	}
	return err
}

func updateSecret(ctx context.Context, s *Server, g *record.Guarded, in *updateSecretRequest) (*secretAnswer, error) {
	t := s.target(in.SecretID)
	var out secretAnswer
	act := record.Operation{Action: access.Write, Op: "update"}
	if in.given() {
		act.Version = in.ClientRequestToken
	}
	err := g.Update(ctx, t.name, act, func(c *record.Change) error {
		if err := t.change(c); err != nil {
			return err
		}
		describe(&c.Record, in.Description, in.KMSKeyID, in.Type)
		c.ChangedAt = c.Now
		out = s.answer(c.Record)
		if !in.given() {
			return nil
		}
		out.VersionID = in.ClientRequestToken
		if err := in.add(c, s); err != nil {
			return err
		}
		attach(c, labelCurrent, in.ClientRequestToken)
		return checkLabelQuota(c.Record)
	})
	return &out, err
}
