package secretsmanager

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/store/record"
)

// Managed is how Rota rotates a secret from its configuration.
type Managed struct {
	RotatedAt time.Time     // when the current credential was created; zero if unknown
	NextAt    time.Time     // the next rotation by policy; zero for none
	Every     time.Duration // the period, if the policy has one
}

// isManaged reports whether Rota's configuration rotates a secret.
func (s *Server) isManaged(name string) bool { return s.opts.Managed != nil && s.opts.Managed(name) }

func errManaged() *Error {
	return errInvalidRequest("Rota's configuration says how and when this secret is rotated. Change that instead.")
}

func errManagedDeletion() *Error {
	return errInvalidRequest("This secret can't be deleted because Rota's configuration rotates it. Take it out of rota.yaml first.")
}

// checkReserved refuses what would make Rota take a version for its own, or a
// step for done: labels and ids that it gives itself. Where no configuration
// rotates the secret, a rotation function may need them, so whoever may rotate
// the secret may use them.
func (s *Server) checkReserved(ctx context.Context, g *record.Guarded, op, name, token string, labels ...string) error {
	i := slices.IndexFunc(labels, isReservedLabel)
	if !s.isManaged(name) {
		if i >= 0 || strings.HasPrefix(token, rota.VersionPrefix) {
			return g.Check(ctx, access.Rotate, op, name)
		}
		return nil
	}
	err := checkManagedToken(token)
	if i >= 0 {
		err = errInvalidRequest("While Rota's configuration rotates the secret, only Rota itself moves the staging label " + labels[i] + ".")
	}
	if err == nil {
		return nil
	}
	return firstError(g.Check(ctx, access.Write, op, name), err) // what a secret is, is nothing for strangers
}

// checkReservedTags refuses tags that tell Rota's rotation function whose
// credentials the secret may get, unless the caller may rotate it.
func (s *Server) checkReservedTags(ctx context.Context, g *record.Guarded, op, name string, keys ...string) error {
	if slices.ContainsFunc(keys, func(key string) bool { return strings.HasPrefix(strings.ToLower(key), "rota:") }) {
		return g.Check(ctx, access.Rotate, op, name)
	}
	return nil
}

func tagKeys(tags []tag) (keys []string) {
	for _, t := range tags {
		keys = append(keys, t.Key)
	}
	return keys
}

// isReservedLabel reports whether a label is one of Rota's own. All of those, and
// any to come, have a prefix of their own.
func isReservedLabel(label string) bool { return strings.HasPrefix(label, rota.LabelPrefix) }

// checkManagedLabel refuses to remove labels that track a rotation from a
// version that Rota created or adopted. Labels can be removed from any other
// version: that's how a person cleans up.
func checkManagedLabel(r *record.Record, label string) error {
	if !isStagingLabel(label) {
		return nil
	}
	if v := r.Holder(label); v != nil && isOwnVersion(*v) {
		return errInvalidRequest("Rota's configuration rotates this secret, and " + label + " is on version " + v.ID + ", which is Rota's own. Use the commands rota rotate and rota rollback.")
	}
	return nil
}

// managedToken is what reload commands and logs can be expected to deal with.
var managedToken = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// checkManagedToken refuses an id that would make Rota mistake a version for
// its own, or that a reload command would stumble over.
func checkManagedToken(token string) error {
	if isOwnVersion(record.Version{ID: token}) {
		return errInvalidParameter("The ClientRequestToken looks like the ids of Rota's own versions of this secret. Use a different one.")
	}
	if token != "" && !managedToken.MatchString(token) {
		return errInvalidParameter("While Rota's configuration rotates the secret, a ClientRequestToken must contain only letters, digits and the characters . _ -")
	}
	return nil
}

// isStagingLabel reports whether a label tracks the progress of a rotation.
func isStagingLabel(label string) bool {
	return slices.Contains([]string{labelCurrent, labelPrevious, labelPending}, label)
}

// isOwnVersion reports whether Rota created or adopted a version.
func isOwnVersion(v record.Version) bool {
	version := rota.Version{ID: v.ID}
	for _, label := range v.Labels {
		version.Labels = append(version.Labels, rota.Label(label))
	}
	return version.Ours()
}

// managedSecrets returns how Rota rotates those of the secrets that are in its
// configuration, by name.
func (s *Server) managedSecrets(ctx context.Context, secrets ...record.Record) (map[string]Managed, error) {
	var names []string
	for _, r := range secrets {
		if s.isManaged(r.Name) {
			names = append(names, r.Name)
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	return s.opts.Rotations(ctx, names)
}

// apply sets what DescribeSecret and ListSecrets say about rotation. What a
// function once did with the secret no longer counts.
func (m Managed) apply(e *secretEntry) {
	enabled := true
	e.RotationEnabled, e.RotationLambdaARN, e.RotationRules = &enabled, "", nil
	e.LastRotatedDate, e.NextRotationDate = epoch{m.RotatedAt}, epoch{m.NextAt}
	if m.Every >= day && m.Every <= maxAfterDays*day && m.Every%day == 0 {
		days := int64(m.Every / day)
		e.RotationRules = &rotationRules{AutomaticallyAfterDays: &days}
	}
}
