package awstest

import (
	"time"
)

const (
	defaultRecovery = 30 // days; the longest, too
	minRecovery     = 7
)

func (s *Server) deleteSecret(r *secretRequest) (any, *apiError) {
	days := defaultRecovery
	if r.RecoveryWindowInDays != nil {
		days = *r.RecoveryWindowInDays
		if r.ForceDeleteWithoutRecovery {
			return nil, invalidParameter("You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")
		}
	}
	if days < minRecovery || days > defaultRecovery {
		return nil, invalidParameter("The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")
	}
	now := s.now()
	c, e := s.secret(r.SecretID, false)
	if r.ForceDeleteWithoutRecovery {
		if e != nil { // forcing the deletion of what is not there succeeds
			name := s.secretName(r.SecretID)
			return secretAnswer{ARN: s.secretARN(name), Name: name, DeletionDate: epoch{now}}, nil
		}
		s.secrets.put(c.name, nil)
		return secretAnswer{ARN: c.arn, Name: c.name, DeletionDate: epoch{now}}, nil
	}
	if e != nil {
		return nil, e
	}
	if !c.deleteAt.IsZero() {
		return nil, invalidRequest("You can't perform this operation on the secret because it was already scheduled for deletion.")
	}
	c = c.clone(now)
	c.deleted, c.deleteAt = now, now.AddDate(0, 0, days)
	s.secrets.put(c.name, c)
	return secretAnswer{ARN: c.arn, Name: c.name, DeletionDate: epoch{c.deleteAt}}, nil
}

func (s *Server) restoreSecret(r *secretRequest) (any, *apiError) {
	c, e := s.secret(r.SecretID, false)
	if e != nil {
		return nil, e
	}
	c = c.clone(s.now())
	c.deleted, c.deleteAt = time.Time{}, time.Time{}
	s.secrets.put(c.name, c)
	return secretAnswer{ARN: c.arn, Name: c.name}, nil
}
