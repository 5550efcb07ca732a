package secretsmanager

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/store/record"
)

// Managed is how Rota rotates a secret that its configuration has.
type Managed struct {
	RotatedAt time.Time     // since when the current credential exists; zero: not known
	NextAt    time.Time     // the next rotation by the policy; zero for none
	Every     time.Duration // the period, where the policy has one
}

// isManaged tells whether Rota's own configuration rotates a secret.
func (s *Server) isManaged(name string) bool { return s.opts.Managed != nil && s.opts.Managed(name) }

func errManaged() *Error {
	return errInvalidRequest("Rota's configuration says how and when this secret is rotated, and has to be changed instead.")
}

func errManagedDeletion() *Error {
	return errInvalidRequest("Rota's configuration rotates this secret, so that it can't be deleted. Take it out of rota.yaml first.")
}

// checkManagedLabel refuses to take from a version that Rota made or adopted
// what tells Rota where it stands with it. From another's version everything
// may be taken: that is how a person tidies up.
func checkManagedLabel(r *record.Record, label string) error {
	if label == string(rota.LabelAdopted) || strings.HasPrefix(label, string(rota.LabelMade(""))) {
		return errInvalidRequest("Rota itself marks versions with the staging label " + label + " while its configuration rotates the secret.")
	}
	if !isStagingLabel(label) {
		return nil
	}
	if v := r.Holder(label); v != nil && isOwnVersion(*v) {
		return errInvalidRequest("Rota's configuration rotates this secret, and " + label + " is on version " + v.ID + ", which is Rota's own. Use the commands rota rotate and rota rollback.")
	}
	return nil
}

// checkManagedToken refuses an id by which Rota would take a version for its own.
func checkManagedToken(token string) error {
	if isOwnVersion(record.Version{ID: token}) {
		return errInvalidParameter("The ClientRequestToken is like the ids of Rota's own versions of this secret. Give another one.")
	}
	return nil
}

// isStagingLabel tells whether a label says how far a rotation is.
func isStagingLabel(label string) bool {
	return slices.Contains([]string{labelCurrent, labelPrevious, labelPending}, label)
}

// isOwnVersion tells whether Rota made or adopted a version.
func isOwnVersion(v record.Version) bool {
	version := rota.Version{ID: v.ID}
	for _, label := range v.Labels {
		version.Labels = append(version.Labels, rota.Label(label))
	}
	return version.Ours()
}

// managedSecrets tells how Rota rotates those of the secrets that its configuration
// has, by name.
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

// apply fills in what DescribeSecret and ListSecrets tell of rotation. What a
// function once did with the secret counts no more.
func (m Managed) apply(e *secretEntry) {
	enabled := true
	e.RotationEnabled, e.RotationLambdaARN, e.RotationRules = &enabled, "", nil
	e.LastRotatedDate, e.NextRotationDate = epoch{m.RotatedAt}, epoch{m.NextAt}
	if m.Every >= day && m.Every <= maxAfterDays*day && m.Every%day == 0 {
		e.RotationRules = &rotationRules{AutomaticallyAfterDays: int64(m.Every / day)}
	}
}
