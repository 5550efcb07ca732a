package secretsmanager

import (
	"context"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/store/record"
	"github.com/rota-dev/rota/rotation"
)

type updateSecretVersionStageRequest struct {
	SecretID            string `json:"SecretId"`
	VersionStage        string
	RemoveFromVersionID string `json:"RemoveFromVersionId"`
	MoveToVersionID     string `json:"MoveToVersionId"`
}

func (r *updateSecretVersionStageRequest) check() error {
	if r.RemoveFromVersionID == "" && r.MoveToVersionID == "" {
		return errInvalidParameter("You must provide MoveToVersionId, RemoveFromVersionId or both.")
	}
	return firstError(checkSecretID(r.SecretID), checkLabel(r.VersionStage),
		checkVersionID("removeFromVersionId", r.RemoveFromVersionID), checkVersionID("moveToVersionId", r.MoveToVersionID))
}

func updateSecretVersionStage(ctx context.Context, s *Server, g *record.Guarded, in *updateSecretVersionStageRequest) (*secretOutput, error) {
	t := s.parseID(in.SecretID)
	var out secretOutput
	act := record.Operation{Action: access.Write, Op: rotation.OpLabel, Version: in.MoveToVersionID, Detail: in.VersionStage}
	if err := s.checkReserved(ctx, g, act.Op, t.name, "", in.VersionStage); err != nil {
		return nil, err
	}
	err := g.Update(ctx, t.name, act, func(c *record.Change) error {
		if err := t.checkChangeable(c); err != nil {
			return err
		}
		if err := in.checkMove(&c.Record); err != nil {
			return err
		}
		if s.isManaged(t.name) {
			if err := checkManagedLabel(&c.Record, in.VersionStage); err != nil {
				return err
			}
		}
		if in.MoveToVersionID == "" {
			detach(c, in.VersionStage)
		} else {
			attach(c, in.VersionStage, in.MoveToVersionID)
		}
		c.ChangedAt = c.Now
		out = s.output(c.Record)
		return checkLabelQuota(c.Record)
	})
	return &out, err
}

// checkMove applies UpdateSecretVersionStage's rules. RemoveFromVersionId is
// its compare-and-swap: it must name the version that has the label.
func (r *updateSecretVersionStageRequest) checkMove(secret *record.Record) error {
	label, from, to := r.VersionStage, r.RemoveFromVersionID, r.MoveToVersionID
	for _, id := range []string{from, to} {
		if id != "" && secret.Version(id) == nil {
			return errNotFound("Secrets Manager can't find the specified secret version: " + id)
		}
	}
	holder := secret.Holder(label)
	switch {
	case from == "" && holder != nil && holder.ID != to:
		return errInvalidParameter("The parameter RemoveFromVersionId can't be empty. Staging label " + label + " is currently attached to version " + holder.ID + ", so you must explicitly reference that version in RemoveFromVersionId.")
	case from != "" && (holder == nil || holder.ID != from):
		return errInvalidParameter("When you move staging label " + label + ", if you specify RemoveFromVersionId, it must be set to the version that currently has the staging label " + label + ".")
	case to == "" && label == labelCurrent:
		return errInvalidParameter("You can only move staging label AWSCURRENT to a different secret version. It can't be completely removed.")
	}
	return nil
}
