package store

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
)

// change is a prepared change of a secret's versions.
type change func(*tx, *edit) error

// edit is what the changes of one transaction do to a secret: its versions and
// labels are read once, changed here, and what differs is written.
type edit struct {
	exists  bool
	changed int64             // when the secret last changed
	created map[string]int64  // when its versions were created, by id
	values  map[string][]byte // the sealed values to write, by version
	before  map[string]string // which version had a label
	labels  map[string]string // which version has it now
}

// has reports whether there is such a version.
func (e *edit) has(version string) bool {
	_, stored := e.created[version]
	_, put := e.values[version]
	return stored || put
}

// move moves a label to a version, "" for none. Previous follows Current, and
// Pending leaves the version that was current.
func (e *edit) move(l rota.Label, to string) {
	holder := e.labels[string(l)]
	if to == "" {
		delete(e.labels, string(l))
		return
	}
	e.labels[string(l)] = to
	if l != rota.LabelCurrent || holder == "" || holder == to {
		return
	}
	e.labels[string(rota.LabelPrevious)] = holder
	if e.labels[string(rota.LabelPending)] == holder {
		delete(e.labels, string(rota.LabelPending))
	}
}

// contents are the labeled versions after the change.
func (e *edit) contents() rota.Contents {
	c := rota.Contents{ChangedAt: fromMicros(e.changed)}
	for label, version := range e.labels {
		contentsRow{e.changed, e.created[version], version, label}.addTo(&c)
	}
	sortVersions(&c)
	return c
}

// change carries out changes in order, in a transaction that has the secret's
// lock. Versions without a label go with the first change that alters anything.
func (s *secretStore) change(t *tx, changes ...change) (rota.Contents, error) {
	e, err := s.edit(t)
	if err != nil {
		return rota.Contents{}, err
	}
	for _, c := range changes {
		if err := c(t, e); err != nil {
			return rota.Contents{}, err
		}
	}
	s.write(t, e)
	return e.contents(), nil
}

// edit reads the secret.
func (s *secretStore) edit(t *tx) (*edit, error) {
	e := &edit{created: map[string]int64{}, values: map[string][]byte{}, before: map[string]string{}}
	err := t.rows(sqlBeforeEdit, []any{s.name}, func(row scanner) error {
		var r contentsRow
		if err := row.Scan(&r.changed, &r.version, &r.created, &r.label); err != nil {
			return err
		}
		e.exists, e.changed = true, r.changed
		if r.version != "" {
			e.created[r.version] = r.created
		}
		if r.label != "" {
			e.before[r.label] = r.version
		}
		return nil
	})
	e.labels = maps.Clone(e.before)
	return e, err
}

// write writes what differs: first the secret, then versions and labels,
// because they refer to one another.
func (s *secretStore) write(t *tx, e *edit) {
	if len(e.values) == 0 && maps.Equal(e.before, e.labels) {
		return
	}
	e.changed = micros(t.now)
	t.enqueue(sqlTouchSecret, s.name, e.changed, newSuffix())
	for version, value := range e.values {
		if _, announced := e.created[version]; announced {
			t.enqueue(sqlUpdateVersion, s.name, version, value)
			continue
		}
		t.enqueue(sqlInsertVersion, s.name, version, value, e.changed)
		e.created[version] = e.changed
	}
	t.writeLabels(s.name, e.before, e.labels)
	labeled := slices.Collect(maps.Values(e.labels))
	for version := range e.created {
		if !slices.Contains(labeled, version) {
			t.enqueue(sqlDeleteVersion, s.name, version)
		}
	}
}

// writeLabels writes the labels that moved from one version to another.
func (t *tx) writeLabels(secret string, before, after map[string]string) {
	for label := range before {
		if after[label] == "" {
			t.enqueue(sqlDropLabel, secret, label)
		}
	}
	moved := []any{secret}
	for label, version := range after {
		if before[label] != version {
			moved = append(moved, label, version)
		}
	}
	if len(moved) > 1 {
		t.enqueue(setLabels(len(moved)/2), moved...)
	}
}

// setLabels is the statement that puts so many labels of a secret on versions.
func setLabels(n int) string {
	var more strings.Builder
	for i := 1; i < n; i++ {
		fmt.Fprintf(&more, ", ($1, $%d, $%d)", 2*i+2, 2*i+3)
	}
	return fmt.Sprintf(sqlSetLabels, more.String())
}
