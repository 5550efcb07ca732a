package secretsmanager

import (
	"context"
	"errors"
	"slices"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/store/record"
	"github.com/rota-dev/rota/rotation"
)

type rotateSecretRequest struct {
	SecretID                       string `json:"SecretId"`
	ClientRequestToken             string
	RotationLambdaARN              *string
	RotationRules                  *rotationRules
	RotateImmediately              *bool
	ExternalSecretRotationMetadata []struct{ Key, Value string }
	ExternalSecretRotationRoleArn  *string
}

func (r *rotateSecretRequest) check() error {
	err := firstError(checkSecretID(r.SecretID), checkRequestToken(r.ClientRequestToken), checkOptionalLength("rotationLambdaARN", r.RotationLambdaARN, 0, 2048))
	if err == nil && r.RotationRules != nil {
		err = r.RotationRules.check()
	}
	if err == nil && (len(r.ExternalSecretRotationMetadata) > 0 || r.ExternalSecretRotationRoleArn != nil) {
		err = errInvalidRequest("Managed external secrets are AWS's own; give a rotation function instead.")
	}
	return err
}

func (r *rotateSecretRequest) immediately() bool {
	return r.RotateImmediately == nil || *r.RotateImmediately
}

func rotateSecret(ctx context.Context, s *Server, g *record.Guarded, in *rotateSecretRequest) (*secretOutput, error) {
	t := s.parseID(in.SecretID)
	if s.isManaged(t.name) {
		return s.rotateManaged(ctx, g, t, in)
	}
	var j job
	var again *job // an earlier rotation that is not complete
	var out secretOutput
	err := g.Update(ctx, t.name, record.Operation{Action: access.Rotate, Op: rotation.OpRotate, Version: in.ClientRequestToken}, func(c *record.Change) error {
		again = nil
		if err := t.checkChangeable(c); err != nil {
			return err
		}
		if err := in.configure(c, s); err != nil {
			return err
		}
		out = s.output(c.Record)
		out.VersionID = in.ClientRequestToken
		j = s.newJob(c.Record, in.ClientRequestToken)
		if v := c.Version(in.ClientRequestToken); v != nil && slices.Contains(v.Labels, labelCurrent) {
			j = job{}
			return nil // the same request again
		}
		former, incomplete := s.underway(c.Record)
		switch p := pending(&c.Record); {
		case incomplete && former.token == in.ClientRequestToken:
			j = former
			return nil // the same request again
		case incomplete && former.rehearsal:
			endRehearsal(c) // there's nothing in it to lose
		case incomplete:
			again = &former
			return errIncomplete()
		case p != nil:
			return errInvalidRequest("A previous rotation isn't complete. " + notAnnounced(p.ID))
		}
		j.rehearsal = !in.immediately()
		return j.begin(c)
	})
	if again != nil {
		s.rotations.start(s, g, *again)
	}
	if err != nil {
		return nil, err
	}
	if j.name != "" {
		s.rotations.start(s, g, j)
	}
	return &out, nil
}

// rotateManaged starts the rotation of a secret that Rota's configuration
// rotates.
func (s *Server) rotateManaged(ctx context.Context, g *record.Guarded, t secretRef, in *rotateSecretRequest) (*secretOutput, error) {
	r, err := g.ViewFor(ctx, access.Rotate, rotation.OpRotate, t.name)
	if err != nil {
		return nil, err
	}
	if err := t.checkUsable(r); err != nil {
		return nil, err
	}
	if in.RotationLambdaARN != nil || in.RotationRules != nil || !in.immediately() {
		return nil, errManaged()
	}
	if err := checkManagedToken(in.ClientRequestToken); err != nil {
		return nil, err
	}
	if err := g.Audit(ctx, rotation.OpRotate, t.name, rotation.OutcomeBegun, "", "requested by RotateSecret"); err != nil {
		return nil, err
	}
	err = s.opts.Rotate(ctx, g.Caller(), t.name, in.ClientRequestToken)
	if errors.Is(err, rota.ErrConflict) || errors.Is(err, rota.ErrBusy) {
		return nil, errIncomplete()
	}
	if err != nil {
		return nil, err
	}
	out := s.output(r)
	out.VersionID = in.ClientRequestToken
	return &out, nil
}

func errIncomplete() *Error {
	return errInvalidRequest("A previous rotation isn't complete. That rotation will be reattempted.")
}

// configure applies the request's rotation settings, and checks that there is a
// function to rotate with.
func (r *rotateSecretRequest) configure(c *record.Change, s *Server) error {
	if r.RotationLambdaARN != nil && *r.RotationLambdaARN != "" {
		c.Rotation.FunctionARN = *r.RotationLambdaARN
	}
	if c.Rotation.FunctionARN == "" {
		return errInvalidRequest("No Lambda rotation function ARN is associated with this secret.")
	}
	if s.opts.Functions[c.Rotation.FunctionARN] == "" {
		return newError("AccessDeniedException", "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access to the principal secretsmanager.amazonaws.com.")
	}
	if r.RotationRules != nil {
		c.Rotation.AfterDays, c.Rotation.Duration, c.Rotation.Schedule = r.RotationRules.days(), r.RotationRules.Duration, r.RotationRules.ScheduleExpression
	}
	c.Rotation.Enabled = true
	c.ChangedAt = c.Now
	return nil
}

// notAnnounced says why a rotation can't begin or resume: AWSPENDING was put on
// a version by hand.
func notAnnounced(version string) string {
	return "Version " + version + " has AWSPENDING, but no rotation created it, so it isn't resumed. Take the label off it with UpdateSecretVersionStage."
}

// pending returns the version that AWSPENDING announces, nil if there is none or
// it's current already.
func pending(r *record.Record) *record.Version {
	v := r.Holder(labelPending)
	if v == nil || slices.Contains(v.Labels, labelCurrent) {
		return nil
	}
	return v
}

func cancelRotateSecret(ctx context.Context, s *Server, g *record.Guarded, in *secretRequest) (*secretOutput, error) {
	t := s.parseID(in.SecretID)
	if s.isManaged(t.name) {
		if err := g.Check(ctx, access.Rotate, rotation.OpCancelRotation, t.name); err != nil {
			return nil, err
		}
		return nil, errManaged()
	}
	var out secretOutput
	err := g.Update(ctx, t.name, record.Operation{Action: access.Rotate, Op: rotation.OpCancelRotation}, func(c *record.Change) error {
		if err := t.checkChangeable(c); err != nil {
			return err
		}
		out = s.output(c.Record)
		if v := pending(&c.Record); v != nil {
			out.VersionID = v.ID
		}
		endRehearsal(c)
		c.Rotation.Enabled, c.Rotation.NextAt, c.ChangedAt = false, noTime, c.Now
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.rotations.cancel(t.name)
	return &out, nil
}
