package secretsmanager

import (
	"regexp"
	"strings"

	"github.com/rota-dev/rota/internal/store/record"
)

var arnSuffix = regexp.MustCompile(`-[A-Za-z0-9]{6}$`)

// ARN is a secret's full ARN.
func (s *Server) ARN(r record.Record) string { return s.arnPrefix + r.Name + "-" + r.Suffix }

// secretRef is what a SecretId refers to: a name, and the suffix that the
// secret must have, "" for any.
type secretRef struct{ name, suffix string }

// parseID parses a SecretId: a name, a full ARN, which must match exactly, or
// an ARN without the six random characters. An ARN whose name ends in a hyphen
// and six characters is treated as a full one, as AWS warns.
func (s *Server) parseID(id string) secretRef {
	rest, isARN := strings.CutPrefix(id, s.arnPrefix)
	switch {
	case !isARN:
		return secretRef{name: id}
	case arnSuffix.MatchString(rest):
		return secretRef{name: rest[:len(rest)-7], suffix: rest[len(rest)-6:]}
	}
	return secretRef{name: rest}
}

// Name is the name of the secret that a SecretId refers to, whether or not it
// exists.
func (s *Server) Name(id string) string { return s.parseID(id).name }

// match refuses a secret other than the one referred to.
func (t secretRef) match(r record.Record) error {
	if t.suffix != "" && t.suffix != r.Suffix {
		return errNoSecret()
	}
	return nil
}

// checkUsable also refuses a secret that is scheduled for deletion.
func (t secretRef) checkUsable(r record.Record) error {
	if err := t.match(r); err != nil {
		return err
	}
	if !r.DeleteAt.IsZero() {
		return errInvalidRequest("You can't perform this operation on the secret because it was marked for deletion.")
	}
	return nil
}

// checkChangeable is checkUsable for a change.
func (t secretRef) checkChangeable(c *record.Change) error {
	if !c.Exists {
		return errNoSecret()
	}
	return t.checkUsable(c.Record)
}
