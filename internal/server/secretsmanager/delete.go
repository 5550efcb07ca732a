package secretsmanager

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/store/record"
	"github.com/rota-dev/rota/rotation"
)

// Recovery windows, in days.
const (
	minRecovery = 7
	maxRecovery = 30 // also the default
)

type deleteSecretRequest struct {
	SecretID                   string `json:"SecretId"`
	RecoveryWindowInDays       *int64
	ForceDeleteWithoutRecovery bool
}

func (r *deleteSecretRequest) check() error {
	if err := checkSecretID(r.SecretID); err != nil {
		return err
	}
	if r.RecoveryWindowInDays == nil {
		return nil
	}
	if r.ForceDeleteWithoutRecovery {
		return errInvalidParameter("You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")
	}
	if days := *r.RecoveryWindowInDays; days < minRecovery || days > maxRecovery {
		return errInvalidParameter("The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")
	}
	return nil
}

func (r *deleteSecretRequest) days() int {
	if r.RecoveryWindowInDays == nil {
		return maxRecovery
	}
	return int(*r.RecoveryWindowInDays)
}

// errNothingToDelete ends the forced deletion of a nonexistent secret, which
// succeeds.
var errNothingToDelete = errors.New("nothing to delete")

func deleteSecret(ctx context.Context, s *Server, g *record.Guarded, in *deleteSecretRequest) (*secretOutput, error) {
	t := s.parseID(in.SecretID)
	detail := fmt.Sprintf("can be restored for %d days", in.days())
	if in.ForceDeleteWithoutRecovery {
		detail = "for good"
	}
	if s.isManaged(t.name) {
		if err := g.Check(ctx, access.Remove, rotation.OpRemove, t.name); err != nil {
			return nil, err
		}
		return nil, errManagedDeletion()
	}
	var out secretOutput
	err := g.Update(ctx, t.name, record.Operation{Action: access.Remove, Op: rotation.OpRemove, Detail: detail}, func(c *record.Change) error {
		there := c.Exists && t.match(c.Record) == nil
		switch {
		case !there && in.ForceDeleteWithoutRecovery:
			out = secretOutput{ARN: s.arnPrefix + t.name, Name: t.name, DeletionDate: epoch{c.Now}}
			return errNothingToDelete
		case !there:
			return errNoSecret()
		case in.ForceDeleteWithoutRecovery:
			c.Remove = true
			out = s.output(c.Record)
			out.DeletionDate = epoch{c.Now}
			return nil
		case !c.DeleteAt.IsZero():
			return errInvalidRequest("You can't perform this operation on the secret because it was already scheduled for deletion.")
		}
		c.ChangedAt, c.DeletedAt, c.DeleteAt = c.Now, c.Now, c.Now.AddDate(0, 0, in.days())
		out = s.output(c.Record)
		out.DeletionDate = epoch{c.DeleteAt}
		return nil
	})
	if errors.Is(err, errNothingToDelete) {
		err = nil
	}
	return &out, err
}

func restoreSecret(ctx context.Context, s *Server, g *record.Guarded, in *secretRequest) (*secretOutput, error) {
	t := s.parseID(in.SecretID)
	var out secretOutput
	err := g.Update(ctx, t.name, record.Operation{Action: access.Remove, Op: rotation.OpRestore}, func(c *record.Change) error {
		if !c.Exists {
			return errNoSecret()
		}
		c.ChangedAt, c.DeletedAt, c.DeleteAt = c.Now, time.Time{}, time.Time{}
		out = s.output(c.Record)
		return t.match(c.Record)
	})
	return &out, err
}
