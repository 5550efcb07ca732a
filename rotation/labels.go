package rotation

import "github.com/rota-dev/rota"

// newLabels returns the labels of a new version: pending, and marked as Rota's.
func newLabels(version string) []rota.Label {
	if (rota.Version{ID: version}).Ours() {
		return []rota.Label{rota.LabelPending}
	}
	return []rota.Label{rota.LabelPending, rota.LabelMade(version)}
}

// hasValue reports whether the store has a value for that version.
func hasValue(versions []rota.Version, id string) bool {
	v, ok := rota.FindID(versions, id)
	return ok && !v.Empty
}
