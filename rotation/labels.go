package rotation

import (
	"slices"

	"github.com/rota-dev/rota"
)

// newLabels returns the labels of a new version: pending, and marked as Rota's.
func newLabels(version string) []rota.Label {
	if (rota.Version{ID: version}).Ours() {
		return []rota.Label{rota.LabelPending}
	}
	return []rota.Label{rota.LabelPending, rota.LabelMade(version)}
}

// droppedMarks take the mark that it's Rota's off each version whose rotation was
// called off and that nothing can need any more. A store has room for a few
// labels only: Secrets Manager for 20 on all versions of a secret.
func (v *view) droppedMarks() []StoreChange {
	var changes []StoreChange
	for _, version := range v.Contents.Versions {
		mark := rota.LabelMade(version.ID)
		if len(version.Labels) == 1 && version.Has(mark) && v.superseded(version) {
			changes = append(changes, moveChange(mark, version.ID, ""))
		}
	}
	return changes
}

// superseded reports whether a version's credential can't be valid any more: the
// issuer no longer has it, or a newer one was set in its place.
func (v *view) superseded(old rota.Version) bool {
	if v.Traits.IssuerChooses {
		_, there := v.issued(old.CredentialID)
		return v.Listed && !there && !v.now.Before(old.CreatedAt.Add(v.Traits.ConsistencyDelay))
	}
	return slices.ContainsFunc(v.Contents.Versions, func(newer rota.Version) bool {
		set := newer.Has(rota.LabelCurrent) || newer.Has(rota.LabelPrevious) || !v.Progress.Versions[newer.ID].SetAt.IsZero()
		return newer.CredentialID == old.CredentialID && newer.Ours() && set && newer.CreatedAt.After(old.CreatedAt)
	})
}

// hasValue reports whether the store has a value for that version.
func hasValue(versions []rota.Version, id string) bool {
	v, ok := rota.FindID(versions, id)
	return ok && !v.Empty
}
