package store

import (
	"context"
	"fmt"
	"io/fs"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/rota-dev/rota"
)

// Wrapper encrypts and decrypts with a key that never leaves its service, such
// as a cloud's key management service. Both methods must be safe for concurrent
// use. The plaintexts are shorter than 100 bytes.
type Wrapper interface {
	Wrap(ctx context.Context, plain []byte) ([]byte, error)
	Unwrap(ctx context.Context, wrapped []byte) ([]byte, error)
}

// wrapperAEAD adapts a Wrapper to Tink's envelope encryption, which generates a
// key per message and wraps that.
type wrapperAEAD struct{ Wrapper }

func (r wrapperAEAD) EncryptWithContext(ctx context.Context, plain, _ []byte) ([]byte, error) {
	return r.Wrap(ctx, plain)
}

func (r wrapperAEAD) DecryptWithContext(ctx context.Context, wrapped, _ []byte) ([]byte, error) {
	return r.Unwrap(ctx, wrapped)
}

func (p wrappedStorage) envelope() (tink.AEADWithContext, error) {
	return aead.NewKMSEnvelopeAEADWithContext(aead.AES256GCMKeyTemplate(), wrapperAEAD{p.wrapper})
}

// wrapTimeout limits one call to a Wrapper.
const wrapTimeout = 15 * time.Second

// wrappedStorage is a master key in the database, encrypted by a Wrapper. The
// Wrapper is called at startup and after a rotation of the key; in between, its
// service may be down.
type wrappedStorage struct {
	wrapper Wrapper
	file    keyFileStorage // whose master key is imported, if there is one
}

func (p wrappedStorage) name() string { return "the master key in the database" }
func (p wrappedStorage) hint() string {
	return "name the key management service's key that this database was created with"
}

func (p wrappedStorage) load(row rowReader) ([]byte, error) {
	var wrapped []byte
	found, err := row(sqlMasterKey, nil, &wrapped)
	if err == nil && !found {
		err = fs.ErrNotExist
	}
	return wrapped, err
}

func (p wrappedStorage) open(stored []byte) (*keyset.Handle, error) {
	ctx, cancel := context.WithTimeout(context.Background(), wrapTimeout)
	defer cancel()
	envelope, err := p.envelope()
	if err != nil {
		return nil, err
	}
	plain, err := envelope.DecryptWithContext(ctx, stored, associated("master key"))
	if err != nil {
		return nil, fmt.Errorf("decrypt %s: %w", p.name(), err)
	}
	handle, err := decodeKeyset(plain)
	if err != nil {
		return nil, rota.WithRemedies(fmt.Errorf("%s is %w", p.name(), err), rota.Outside(p.hint()))
	}
	return handle, nil
}

// importKeyFile moves the key file's master key, if there is one, into the
// database. The file can then be deleted.
func (m *master) importKeyFile(t *tx) error {
	p, ok := m.storage.(wrappedStorage)
	if !ok || p.file == "" {
		return fs.ErrNotExist
	}
	stored, err := p.file.load(t.row)
	if err != nil {
		return err
	}
	handle, err := p.file.open(stored)
	if err != nil {
		return err
	}
	return m.write(t, handle)
}

func (p wrappedStorage) save(t *tx, handle *keyset.Handle) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), wrapTimeout)
	defer cancel()
	plain, err := encodeKeyset(handle)
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	envelope, err := p.envelope()
	if err != nil {
		return nil, err
	}
	wrapped, err := envelope.EncryptWithContext(ctx, plain, associated("master key"))
	if err != nil {
		return nil, fmt.Errorf("encrypt the master key: %w", err)
	}
	_, err = t.exec(sqlPutMasterKey, wrapped)
	return wrapped, err
}
