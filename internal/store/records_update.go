package store

import (
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/store/record"
)

// recordUpdate is one change of a record inside a transaction.
type recordUpdate struct {
	tx      *tx
	keys    *keys
	name    string
	key     tink.AEAD // nil until needed, unless it was cached
	before  record.Record
	exists  bool
	expired bool // there is one whose recovery window is over, to be removed
}

// read reads the record. An expired one doesn't exist.
func (u *recordUpdate) read() error {
	var err error
	if u.before, u.exists, err = u.tx.record(u.name); err != nil {
		return err
	}
	u.expired = u.exists && u.before.Expired(u.tx.now)
	u.exists = u.exists && !u.expired
	if !u.exists {
		u.before, u.key = record.Record{Name: u.name}, nil
		u.keys.drop(u.name)
	}
	return nil
}

func (u *recordUpdate) remove() {
	for _, query := range []string{sqlDeleteLabels, sqlDeleteVersions, sqlDeleteSecret} {
		u.tx.enqueue(query, u.name)
	}
}

// dataKey opens the secret's data key, creating it for a new secret.
func (u *recordUpdate) dataKey() (tink.AEAD, error) {
	var err error
	if u.key == nil {
		u.key, err = u.keys.dataKey(u.tx, u.name, !u.exists)
	}
	return u.key, err
}

// value reads and decrypts a version.
func (u *recordUpdate) value(version string) (record.Value, error) {
	var sealed []byte
	found, err := u.tx.row(sqlValue, []any{u.name, version}, &sealed)
	if err != nil {
		return record.Value{}, err
	}
	if !found || len(sealed) == 0 {
		return record.Value{}, record.ErrNotFound
	}
	key, err := u.dataKey()
	if err != nil {
		return record.Value{}, recordError(u.name, err)
	}
	v, err := openValue(key, u.name, version, sealed)
	if err != nil {
		return record.Value{}, recordError(u.name, err)
	}
	return v, nil
}

// write writes the record: first the secret, then versions and labels, because
// they refer to one another.
func (u *recordUpdate) write(c *record.Change) error {
	if _, err := u.dataKey(); err != nil { // every secret has one, with or without a value
		return err
	}
	text, err := detailsOf(c.Record)
	if err != nil {
		return err
	}
	if c.Suffix == "" {
		c.Suffix = newSuffix()
	}
	u.tx.enqueue(sqlPutRecord, u.name, c.Suffix, micros(c.CreatedAt), micros(c.ChangedAt), micros(c.AccessedAt),
		micros(c.DeleteAt), micros(c.DueAt()), text)
	for _, v := range c.Versions {
		if err := u.writeVersion(v, c.NewValues()); err != nil {
			return err
		}
	}
	if u.writeLabels(c) || c.DeleteAt.IsZero() != u.before.DeleteAt.IsZero() {
		u.tx.enqueue(sqlMarkDue, u.name)
	}
	for _, v := range u.before.Versions {
		if u.exists && c.Version(v.ID) == nil {
			u.tx.enqueue(sqlDeleteVersion, u.name, v.ID)
		}
	}
	return nil
}

// writeVersion writes a version that is new or has a new value.
func (u *recordUpdate) writeVersion(v record.Version, put map[string]record.Value) error {
	sealed := []byte{}
	value, written := put[v.ID]
	known := u.before.Version(v.ID) != nil
	if known && !written {
		return nil
	}
	if written {
		key, err := u.dataKey()
		if err != nil {
			return err
		}
		if sealed, err = sealValue(key, u.name, v.ID, value); err != nil {
			return err
		}
	}
	if known {
		u.tx.enqueue(sqlUpdateVersion, u.name, v.ID, sealed)
		return nil
	}
	u.tx.enqueue(sqlInsertVersion, u.name, v.ID, sealed, micros(v.CreatedAt))
	return nil
}

// writeLabels reports whether a label that tracks a rotation was moved.
func (u *recordUpdate) writeLabels(c *record.Change) (stands bool) {
	had, has := holders(u.before), holders(c.Record)
	u.tx.writeLabels(u.name, had, has)
	for _, label := range stagingLabels {
		stands = stands || had[string(label)] != has[string(label)]
	}
	return stands
}

var stagingLabels = []rota.Label{rota.LabelCurrent, rota.LabelPrevious, rota.LabelPending}

// holders maps labels to the versions that carry them.
func holders(r record.Record) map[string]string {
	m := map[string]string{}
	for _, v := range r.Versions {
		for _, label := range v.Labels {
			m[label] = v.ID
		}
	}
	return m
}
