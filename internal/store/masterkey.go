package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// master is the master key: a Tink keyset whose primary key encrypts the data
// keys. It contains two keys only while it is being rotated.
//
// It is written only under the keys' lock, so that processes agree on it.
type master struct {
	storage keysetStorage

	loading sync.Mutex // held while the keyset is reloaded
	mu      sync.Mutex
	raw     []byte
	handle  *keyset.Handle
	aead    tink.AEAD
}

// keysetStorage is where the keyset is stored.
type keysetStorage interface {
	// load reads the keyset as stored; [fs.ErrNotExist] if there is none.
	load(row rowReader) ([]byte, error)
	// open parses a stored keyset.
	open(stored []byte) (*keyset.Handle, error)
	// save replaces the keyset, and returns it as stored.
	save(t *tx, handle *keyset.Handle) ([]byte, error)
	// name is for errors, and hint says what a person can do if the keyset is
	// missing or isn't the database's.
	name() string
	hint() string
}

// rowReader reads one row, inside or outside a transaction, and reports whether
// there was one.
type rowReader func(query string, args []any, dest ...any) (bool, error)

// readFrom reads outside any transaction.
func readFrom(ctx context.Context, pool *sql.DB) rowReader {
	return func(query string, args []any, dest ...any) (bool, error) {
		err := pool.QueryRowContext(ctx, query, args...).Scan(dest...)
		if isNoRows(err) {
			return false, nil
		}
		return err == nil, explain(err)
	}
}

// newMasterKeyset creates a keyset with one fresh AES-256-GCM key.
func newMasterKeyset() (*keyset.Handle, error) { return keyset.NewHandle(aead.AES256GCMKeyTemplate()) }

// encodeKeyset returns the keyset in plaintext, as JSON.
func encodeKeyset(handle *keyset.Handle) ([]byte, error) {
	var buf bytes.Buffer
	err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&buf))
	return buf.Bytes(), err
}

// decodeKeyset is the reverse. Its error reveals nothing about what it read.
func decodeKeyset(plain []byte) (*keyset.Handle, error) {
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(plain)))
	if err != nil {
		return nil, errUnreadable
	}
	return handle, nil
}

// reload reads the keyset if the stored one has changed; [fs.ErrNotExist] if
// it's missing.
func (m *master) reload(row rowReader) error {
	for {
		known := m.stored()
		// Without a lock: a reader inside a transaction may have to wait for
		// the other requests in it.
		stored, err := m.storage.load(row)
		if err != nil || known != nil && bytes.Equal(stored, known) {
			return err
		}
		if done, err := m.replace(known, stored); done || err != nil {
			return err
		}
	}
}

// replace opens the stored keyset, unless the known one has been replaced in
// the meantime.
func (m *master) replace(known, stored []byte) (done bool, err error) {
	m.loading.Lock()
	defer m.loading.Unlock()
	if !bytes.Equal(m.stored(), known) {
		return false, nil
	}
	handle, err := m.storage.open(stored)
	if err != nil {
		return false, err
	}
	return true, m.use(stored, handle)
}

// stored is the keyset in use, as stored; nil before the first.
func (m *master) stored() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.raw
}

func (m *master) use(raw []byte, handle *keyset.Handle) error {
	primitive, err := aead.New(handle)
	if err != nil {
		return fmt.Errorf("%s: %w", m.storage.name(), err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.raw, m.handle, m.aead = raw, handle, primitive
	return nil
}

// write replaces the keyset.
func (m *master) write(t *tx, handle *keyset.Handle) error {
	raw, err := m.storage.save(t, handle)
	if err != nil {
		return err
	}
	return m.use(raw, handle)
}

// current returns the keyset and its primitive, for use without the lock.
func (m *master) current() (*keyset.Handle, tink.AEAD) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.handle, m.aead
}

// wrap encrypts a data key. It checks the stored keyset first, because another
// process may have rotated it. The keys' lock is held.
func (m *master) wrap(t *tx, plain []byte, id string) ([]byte, error) {
	if err := m.reload(t.row); err != nil {
		return nil, err
	}
	_, a := m.current()
	return a.Encrypt(plain, associated("data key", id))
}

// unwrap decrypts a data key. If it needs an unknown key, a newer keyset may
// have been stored.
func (m *master) unwrap(row rowReader, wrapped []byte, id string) ([]byte, error) {
	_, a := m.current()
	plain, err := a.Decrypt(wrapped, associated("data key", id))
	if err == nil {
		return plain, nil
	}
	if err := m.reload(row); err != nil {
		return nil, err
	}
	_, a = m.current()
	if plain, err = a.Decrypt(wrapped, associated("data key", id)); err != nil {
		return nil, rota.WithRemedies(fmt.Errorf("%s doesn't decrypt the data key %q", m.storage.name(), id), rota.Outside(m.storage.hint()))
	}
	return plain, nil
}

// CheckWrites checks whether the store can be written to, if the last write
// failed. Without an entry in the audit no value is read, so that a full disk
// keeps everything from being read. Once a write succeeds again, the audit has an
// entry about it.
func (db *DB) CheckWrites(ctx context.Context) error {
	failed := db.writer.failed.Load()
	if failed == nil {
		return nil
	}
	return db.Audit().Record(ctx, rotation.Entry{
		At: db.Now(), Actor: db.actor, Step: rotation.OpWritable, Outcome: rotation.OutcomeSucceeded, Detail: "the store takes writes again after: " + failed.Error(),
	})
}

// IsOpen reports whether every role of the server may connect to the database, as
// PostgreSQL lets them by default. None of them can read anything, but any of them
// can hold up all writes by taking the store's advisory locks.
func (db *DB) IsOpen(ctx context.Context) (is bool, err error) {
	if db.dialect.isOpen == "" {
		return false, nil
	}
	_, err = readFrom(ctx, db.reader)(db.dialect.isOpen, nil, &is)
	return is, err
}

// CheckMasterKey checks that the master key still opens the store. Another
// process may have rotated it and left this one with the old key.
func (db *DB) CheckMasterKey(ctx context.Context) error {
	var wrapped []byte
	row := readFrom(ctx, db.reader)
	if _, err := row(sqlDataKey, []any{auditKeyID}, &wrapped); err != nil {
		return fmt.Errorf("check the master key: %w", err)
	}
	if _, err := db.keys.master.unwrap(row, wrapped, auditKeyID); err != nil {
		return fmt.Errorf("check the master key: %w", err)
	}
	return nil
}

// keyPrefix is how everything that the keyset's primary key encrypts begins:
// Tink's version byte 1 and the key's id, big-endian.
func keyPrefix(handle *keyset.Handle) ([]byte, error) {
	primary, err := handle.Primary()
	if err != nil {
		return nil, err
	}
	return binary.BigEndian.AppendUint32([]byte{1}, primary.KeyID()), nil
}
