package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// master is the master key: a Tink keyset in a file of its own, whose primary
// key encrypts. It holds two keys only while it is being rotated.
//
// The file is written under the database's write lock alone, so that several
// processes agree on it.
type master struct {
	path string

	mu     sync.Mutex
	raw    []byte
	handle *keyset.Handle
	aead   tink.AEAD
}

// newMasterKeyset makes a keyset of one fresh AES-256-GCM key.
func newMasterKeyset() (*keyset.Handle, error) { return keyset.NewHandle(aead.AES256GCMKeyTemplate()) }

// reload reads the file if its content changed. A missing file is
// [fs.ErrNotExist].
func (m *master) reload() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := private(m.path); err != nil {
		return err
	}
	raw, err := os.ReadFile(m.path)
	if err != nil {
		return fmt.Errorf("master key: %w", err)
	}
	if m.handle != nil && bytes.Equal(raw, m.raw) {
		return nil
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(raw)))
	if err != nil {
		// The parser's error may quote the file.
		return fmt.Errorf("master key %s is not readable (try: put back the key file that belongs to this database)", m.path)
	}
	return m.use(raw, handle)
}

func (m *master) use(raw []byte, handle *keyset.Handle) error {
	primitive, err := aead.New(handle)
	if err != nil {
		return fmt.Errorf("master key %s: %w", m.path, err)
	}
	m.raw, m.handle, m.aead = raw, handle, primitive
	return nil
}

// write replaces the file: after a crash it is the old one or the new one,
// whole. The database's write lock is held.
func (m *master) write(handle *keyset.Handle) error {
	var buf bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&buf)); err != nil {
		return fmt.Errorf("master key %s: %w", m.path, err)
	}
	if err := replaceFile(m.path, buf.Bytes()); err != nil {
		return fmt.Errorf("master key: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.use(bytes.Clone(buf.Bytes()), handle)
}

func replaceFile(path string, content []byte) error {
	next := path + ".new"
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(next))
	}
	if err := os.Rename(next, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes new names in a folder survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// current is the keyset and its primitive, to be used without the lock.
func (m *master) current() (*keyset.Handle, tink.AEAD) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.handle, m.aead
}

// wrap encrypts a data key. It looks at the file first: another process may
// have rotated it. The database's write lock is held.
func (m *master) wrap(plain []byte, id string) ([]byte, error) {
	if err := m.reload(); err != nil {
		return nil, err
	}
	_, a := m.current()
	return a.Encrypt(plain, associated("data key", id))
}

// unwrap decrypts a data key. Where the key that it needs is not known, the
// file may have a newer one.
func (m *master) unwrap(wrapped []byte, id string) ([]byte, error) {
	_, a := m.current()
	plain, err := a.Decrypt(wrapped, associated("data key", id))
	if err == nil {
		return plain, nil
	}
	if err := m.reload(); err != nil {
		return nil, err
	}
	_, a = m.current()
	if plain, err = a.Decrypt(wrapped, associated("data key", id)); err != nil {
		return nil, fmt.Errorf("key file %s does not open the data key %q (try: put back the key file that belongs to this database)", m.path, id)
	}
	return plain, nil
}

// prefix is how everything that the keyset's primary key encrypts begins: Tink's
// 1 and the key's id, the highest byte first.
func prefix(handle *keyset.Handle) ([]byte, error) {
	primary, err := handle.Primary()
	if err != nil {
		return nil, err
	}
	return binary.BigEndian.AppendUint32([]byte{1}, primary.KeyID()), nil
}
