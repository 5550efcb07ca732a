package secretsmanager

import (
	"regexp"
	"strings"

	"github.com/rota-dev/rota/internal/store/record"
)

var arnSuffix = regexp.MustCompile(`-[A-Za-z0-9]{6}$`)

// ARN is the full ARN of a secret.
func (s *Server) ARN(r record.Record) string { return s.arnPrefix + r.Name + "-" + r.Suffix }

// secretRef is what a SecretId names: a name, and the suffix that the secret must
// have, "" for any.
type secretRef struct{ name, suffix string }

// parseID reads a SecretId: a name, a full ARN, which must match as a whole, or
// an ARN without the six random characters. An ARN whose name ends in a hyphen
// and six characters is taken for a full one, as AWS warns.
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

// Name is the name of the secret that a SecretId means, whether there is one or
// not.
func (s *Server) Name(id string) string { return s.parseID(id).name }

// match refuses a secret that the target does not mean.
func (t secretRef) match(r record.Record) error {
	if t.suffix != "" && t.suffix != r.Suffix {
		return errNoSecret()
	}
	return nil
}

// checkUsable is check for what can't be done to a secret that is to be deleted.
func (t secretRef) checkUsable(r record.Record) error {
	if err := t.match(r); err != nil {
		return err
	}
	if !r.DeleteAt.IsZero() {
		return errInvalidRequest("You can't perform this operation on the secret because it was marked for deletion.")
	}
	return nil
}

// checkChangeable is use for a change of the record.
func (t secretRef) checkChangeable(c *record.Change) error {
	if !c.Exists {
		return errNoSecret()
	}
	return t.checkUsable(c.Record)
}
