package rota

import (
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Label is a staging label on a version. Labels that begin with AWS are Secrets
// Manager's own. Those that begin with ROTA_ are Rota's milestones, kept in the
// store so that they survive the loss of Rota's data directory.
type Label string

// The labels that Rota reads and moves.
const (
	LabelPending  Label = "AWSPENDING"
	LabelCurrent  Label = "AWSCURRENT"
	LabelPrevious Label = "AWSPREVIOUS"

	// LabelServed is on the version that was delivered to every target and
	// reloaded by every reloader.
	LabelServed Label = "ROTA_SERVED"
	// LabelDeactivated is on the previous version once its credential is inactive.
	LabelDeactivated Label = "ROTA_DEACTIVATED"
	// LabelAdopted is on a version whose credential Rota didn't create but was
	// asked to take over.
	LabelAdopted Label = "ROTA_ADOPTED"
	// LabelAdoptedPrevious is on the version whose credential was taken over
	// together with its successor, or before it: a label can only be on one
	// version.
	LabelAdoptedPrevious Label = "ROTA_ADOPTED_PREVIOUS"
)

// LabelPrefix is the prefix of the labels that only Rota gives.
const LabelPrefix = "ROTA_"

// madePrefix is the prefix of the labels that mark versions whose credential Rota
// created but whose id came from elsewhere, as in a rotation by Secrets Manager.
const madePrefix = "ROTA_MADE_"

// LabelMade returns the label that marks a version as Rota's if its id doesn't
// say so. Each version has its own, so that none takes it from another.
func LabelMade(version string) Label { return Label(madePrefix + version) }

// Labels returns every label that Rota moves, except those from [LabelMade].
func Labels() []Label {
	return []Label{LabelPending, LabelCurrent, LabelPrevious, LabelServed, LabelDeactivated, LabelAdopted, LabelAdoptedPrevious}
}

// Version is one version of a secret in a store, without its value.
type Version struct {
	ID        string    `json:"id"`
	Labels    []Label   `json:"labels"`
	CreatedAt time.Time `json:"created_at"`

	// CredentialID is the issuer's public name for the credential, such as an
	// access key's id or a role's name. Stores leave it empty. The Rotator fills
	// it in, with NoCredential if the value contains no credential.
	CredentialID string `json:"credential_id,omitempty"`
	// Empty means that the version was announced but has no value yet, as at
	// the start of Secrets Manager's own rotation. The Rotator fills it in.
	Empty bool `json:"empty,omitempty"`
	// ExpiresAt is when the credential expires, zero if it doesn't. The Rotator
	// fills it in.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// NoCredential is the CredentialID of a version whose value was read but
// contains no credential, only the user's own fields.
const NoCredential = "(none)"

// VersionPrefix is the prefix of the ids of versions that Rota created.
const VersionPrefix = "rota-"

// NewVersionID returns a new id that marks the version as Rota's. It has 41
// characters, within the 32 to 64 that Secrets Manager accepts.
func NewVersionID() string { return VersionPrefix + uuid.NewString() }

// Has reports whether the version carries the label.
func (v Version) Has(l Label) bool { return slices.Contains(v.Labels, l) }

// Ours reports whether Rota created or adopted the version's credential. Rota
// never changes or deletes any other.
func (v Version) Ours() bool {
	return strings.HasPrefix(v.ID, VersionPrefix) || v.Adopted() || v.Has(LabelMade(v.ID))
}

// Adopted reports whether Rota took the version's credential over instead of
// creating it, while it was the current or the previous one.
func (v Version) Adopted() bool { return v.Has(LabelAdopted) || v.Has(LabelAdoptedPrevious) }

// Find returns the version that carries the label.
func Find(versions []Version, l Label) (Version, bool) {
	i := slices.IndexFunc(versions, func(v Version) bool { return v.Has(l) })
	if i < 0 {
		return Version{}, false
	}
	return versions[i], true
}

// FindID returns the version with this id.
func FindID(versions []Version, id string) (Version, bool) {
	i := slices.IndexFunc(versions, func(v Version) bool { return v.ID == id })
	if i < 0 {
		return Version{}, false
	}
	return versions[i], true
}
