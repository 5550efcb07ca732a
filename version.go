package rota

import (
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Label is a staging label on a version. The first three are Secrets
// Manager's own; those that begin with ROTA_ are Rota's milestones, kept in the
// store so that they survive the loss of Rota's data folder.
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
	// told to take over.
	LabelAdopted Label = "ROTA_ADOPTED"
)

// madePrefix begins the labels that mark versions whose credential Rota created
// but whose id came from elsewhere, as in a rotation by Secrets Manager.
const madePrefix = "ROTA_MADE_"

// LabelMade is the label that marks the version with this id as Rota's, if its id
// doesn't say so. Each version has its own, so that none takes it from another.
func LabelMade(version string) Label { return Label(madePrefix + version) }

// Labels is every label that Rota moves, except those of [LabelMade].
func Labels() []Label {
	return []Label{LabelPending, LabelCurrent, LabelPrevious, LabelServed, LabelDeactivated, LabelAdopted}
}

// Version is a credential in a store, without its value.
type Version struct {
	ID        string    `json:"id"`
	Labels    []Label   `json:"labels"`
	CreatedAt time.Time `json:"created_at"`

	// CredentialID is the issuer's public name of the credential, such as an
	// access key's id or a role's name. Stores leave it empty; observation
	// fills it in, or NoCredential if the value contains none.
	CredentialID string `json:"credential_id,omitempty"`
	// Empty means that the version was announced and has no value yet, as at
	// the start of Secrets Manager's own rotation. Observation fills it in.
	Empty bool `json:"empty,omitempty"`
	// ExpiresAt is when the credential expires, zero if it doesn't. It's
	// filled in like CredentialID.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// NoCredential stands in for the credential's name in a version whose value
// was read and contains none, only other fields of the user's.
const NoCredential = "(none)"

// VersionPrefix begins the ids of versions that Rota created.
const VersionPrefix = "rota-"

// NewVersionID is an id that says Rota created the version: 41 characters,
// within the 32 to 64 that Secrets Manager accepts.
func NewVersionID() string { return VersionPrefix + uuid.NewString() }

// Has reports whether the version carries the label.
func (v Version) Has(l Label) bool { return slices.Contains(v.Labels, l) }

// Ours reports whether Rota created or adopted the version's credential.
// Rota changes and deletes no other.
func (v Version) Ours() bool {
	return strings.HasPrefix(v.ID, VersionPrefix) || v.Has(LabelAdopted) || v.Has(LabelMade(v.ID))
}

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
