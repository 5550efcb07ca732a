package secretsmanager

import (
	"context"
	"slices"
	"time"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/store/record"
	"github.com/rota-dev/rota/rotation"
)

const (
	maxVersions = 100 // per secret, as long as older ones can be removed
	minAge      = 24 * time.Hour
)

// content is the parameters that contain a value and the id for it.
type content struct {
	ClientRequestToken string
	SecretString       *string
	SecretBinary       []byte
}

func (c *content) hasValue() bool { return c.SecretString != nil || c.SecretBinary != nil }

func (c *content) value() record.Value {
	return record.Value{Text: c.SecretString, Binary: c.SecretBinary}
}

func (c *content) check() error {
	var size int
	switch {
	case c.SecretString != nil && c.SecretBinary != nil:
		return errInvalidParameter("You can't specify both a binary secret value and a string secret value in the same secret.")
	case c.SecretString != nil:
		size = len(*c.SecretString)
	default:
		size = len(c.SecretBinary)
	}
	if size == 0 {
		return errInvalidParameter("You must provide either SecretString or SecretBinary.")
	}
	if size > maxValue {
		return violation("secretString", "Member must have length less than or equal to 65536")
	}
	if c.ClientRequestToken == "" {
		return errInvalidRequest(noToken)
	}
	return checkRequestToken(c.ClientRequestToken)
}

// addVersion adds a version with the value, or fills the one that a rotation
// announced.
func (c *content) addVersion(change *record.Change, s *Server) error {
	if old := change.Version(c.ClientRequestToken); old != nil {
		if !old.Empty {
			return s.errTokenInUse(change.Record, old.ID)
		}
		old.Empty = false
	} else if err := announce(change, c.ClientRequestToken); err != nil {
		return err
	}
	change.Put(c.ClientRequestToken, c.value())
	return nil
}

func (s *Server) errTokenInUse(r record.Record, token string) *Error {
	return newError("ResourceExistsException", tokenInUse(s.ARN(r), token))
}

func tokenInUse(arn, token string) string {
	return "You can't use ClientRequestToken " + token + " because that value is already in use for a version of secret " + arn + "."
}

// announce adds a version without a value. If the quota leaves no room, it
// removes the oldest unlabeled version.
func announce(c *record.Change, id string) error {
	if len(c.Versions) >= maxVersions {
		i := slices.IndexFunc(c.Versions, func(v record.Version) bool {
			return len(v.Labels) == 0 && c.Now.Sub(v.CreatedAt) >= minAge
		})
		if i < 0 {
			return errLimit("The secret has reached the quota of versions, and none of them is old enough to be removed.")
		}
		c.Versions = slices.Delete(c.Versions, i, i+1)
	}
	c.Versions = append(c.Versions, record.Version{ID: id, CreatedAt: c.Now})
	return nil
}

type putSecretValueRequest struct {
	SecretID string `json:"SecretId"`
	content
	VersionStages []string
	RotationToken string
}

func (r *putSecretValueRequest) check() error {
	if err := firstError(checkSecretID(r.SecretID), r.content.check()); err != nil {
		return err
	}
	if r.VersionStages != nil && len(r.VersionStages) == 0 {
		return violation("versionStages", "Member must have length greater than or equal to 1")
	}
	if len(r.VersionStages) > maxLabels {
		return errLimit("A version of a secret can have at most 20 staging labels.")
	}
	for _, label := range r.VersionStages {
		if err := checkLabel(label); err != nil {
			return err
		}
	}
	return nil
}

func putSecretValue(ctx context.Context, s *Server, g *record.Guarded, in *putSecretValueRequest) (*secretOutput, error) {
	t := s.parseID(in.SecretID)
	var out secretOutput
	if err := s.checkReserved(ctx, g, rotation.OpPut, t.name, in.ClientRequestToken, in.VersionStages...); err != nil {
		return nil, err
	}
	act := record.Operation{Action: access.Write, Op: rotation.OpPut, Version: in.ClientRequestToken}
	err := g.Update(ctx, t.name, act, func(c *record.Change) error {
		if err := t.checkChangeable(c); err != nil {
			return err
		}
		if again, err := repeated(c, &in.content); err != nil {
			return err
		} else if !again {
			if err := in.put(c, s); err != nil {
				return err
			}
		}
		out = s.output(c.Record)
		out.VersionID, out.VersionStages = in.ClientRequestToken, slices.Clone(c.Version(in.ClientRequestToken).Labels)
		return nil
	})
	return &out, err
}

// repeated reports whether the request was already carried out: a version with
// its token has the same value.
func repeated(c *record.Change, in *content) (bool, error) {
	v := c.Version(in.ClientRequestToken)
	if v == nil || v.Empty {
		return false, nil
	}
	old, err := c.Value(v.ID)
	if err != nil {
		return false, err
	}
	return old.Equal(in.value()), nil
}

func (r *putSecretValueRequest) put(c *record.Change, s *Server) error {
	if s.isManaged(c.Name) {
		for _, label := range r.VersionStages {
			if label == labelCurrent { // noticed by Rota, which adopts it or moves it back
				continue
			}
			if err := checkManagedLabel(&c.Record, label); err != nil {
				return err
			}
		}
	}
	if err := r.addVersion(c, s); err != nil {
		return err
	}
	labels := r.VersionStages
	if len(labels) == 0 {
		labels = []string{labelCurrent}
	}
	if c.Holder(labelCurrent) == nil { // a secret's first version is always current
		labels = append(slices.Clone(labels), labelCurrent)
	}
	for _, label := range labels {
		attach(c, label, r.ClientRequestToken)
	}
	c.ChangedAt = c.Now
	return checkLabelQuota(c.Record)
}
