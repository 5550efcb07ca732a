package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/rota-dev/rota"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/mac"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// keys are the data keys. Each encrypts the values of one secret, is stored in
// the database encrypted with the master key, and never changes. One more seals
// the end of the audit.
type keys struct {
	master *master
	audit  tink.MAC

	mu    sync.Mutex
	cache map[string]tink.AEAD // by secret
}

// maxCachedKeys bounds the memory for opened data keys, about 3 KB each.
const maxCachedKeys = 10_000

// auditKeyID names the key that seals the end of the audit.
const auditKeyID = "audit"

func dataKeyID(secret string) string { return "secret/" + secret }

// associated is the associated data that binds a ciphertext to its place: each
// part, prefixed with its length.
func associated(parts ...string) []byte {
	var data []byte
	for _, p := range parts {
		data = append(binary.AppendUvarint(data, uint64(len(p))), p...)
	}
	return data
}

func isNoRows(err error) bool { return errors.Is(err, sql.ErrNoRows) }

// setUp opens the keys at startup, inside a write transaction. On first use it
// creates them.
func (k *keys) setUp(t *tx) error {
	if err := k.checkStorage(t); err != nil {
		return err
	}
	err := k.master.reload(t.row)
	if errors.Is(err, fs.ErrNotExist) {
		err = k.master.importKeyFile(t)
	}
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return err
	}
	var wrapped []byte
	found, err := t.row(sqlDataKey, []any{auditKeyID}, &wrapped)
	if err != nil {
		return err
	}
	if found && missing {
		return rota.WithRemedies(fmt.Errorf("%s is missing, and the database is encrypted with it", k.master.storage.name()), rota.Outside("restore it from your backup; a new key can't open the database"))
	}
	if found {
		return k.openAudit(t.row, wrapped)
	}

	for _, query := range []string{sqlCountDataKeys, sqlAuditCount} {
		n, err := t.count(query)
		if err != nil {
			return err
		}
		if n > 0 {
			return &TamperError{Seq: 1, Reason: "the key that seals the chain's end is missing"}
		}
	}
	if missing {
		handle, err := newMasterKeyset()
		if err != nil {
			return fmt.Errorf("master key: %w", err)
		}
		if err := k.master.write(t, handle); err != nil {
			return err
		}
	}
	if wrapped, err = k.create(t, auditKeyID, mac.HMACSHA256Tag256KeyTemplate()); err != nil {
		return err
	}
	if err := k.openAudit(t.row, wrapped); err != nil {
		return err
	}
	seal, err := k.seal(head{})
	if err != nil {
		return err
	}
	empty := head{}
	_, err = t.exec(sqlInsertHead, empty.seq, empty.hash[:], seal)
	return err
}

// checkStorage refuses a key file if the database itself holds the master key.
func (k *keys) checkStorage(t *tx) error {
	switch k.master.storage.(type) {
	case keyFileStorage, providedKeyFile:
	default:
		return nil
	}
	var wrapped []byte
	found, err := t.row(sqlMasterKey, nil, &wrapped)
	if found {
		return rota.WithRemedies(errors.New("the master key is in the database, encrypted with a key management service's key"), rota.Outside("name the key that this database was created with"))
	}
	return err
}

// create generates a data key and stores it encrypted. The master key can't be
// rotated meanwhile.
func (k *keys) create(t *tx, id string, template *tinkpb.KeyTemplate) ([]byte, error) {
	if err := t.committer.connection.lockShared(t, keysLock); err != nil {
		return nil, err
	}
	handle, err := keyset.NewHandle(template)
	if err != nil {
		return nil, fmt.Errorf("data key %q: %w", id, err)
	}
	var plain bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewBinaryWriter(&plain)); err != nil {
		return nil, fmt.Errorf("data key %q: %w", id, err)
	}
	wrapped, err := k.master.wrap(t, plain.Bytes(), id)
	if err != nil {
		return nil, err
	}
	if id != auditKeyID {
		if err := k.checkMaster(t); err != nil {
			return nil, err
		}
	}
	_, err = t.exec(sqlInsertDataKey, id, wrapped)
	return wrapped, err
}

// checkMaster checks that the master key belongs to this database: its file may
// have been replaced while the store was open.
func (k *keys) checkMaster(t *tx) error {
	var wrapped []byte
	if _, err := t.row(sqlDataKey, []any{auditKeyID}, &wrapped); err != nil {
		return err
	}
	_, err := k.master.unwrap(t.row, wrapped, auditKeyID)
	return err
}

func (k *keys) open(row rowReader, wrapped []byte, id string) (*keyset.Handle, error) {
	plain, err := k.master.unwrap(row, wrapped, id)
	if err != nil {
		return nil, err
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewBinaryReader(bytes.NewReader(plain)))
	if err != nil {
		return nil, fmt.Errorf("data key %q can't be parsed", id)
	}
	return handle, nil
}

func (k *keys) openAudit(row rowReader, wrapped []byte) error {
	handle, err := k.open(row, wrapped, auditKeyID)
	if err != nil {
		return err
	}
	k.audit, err = mac.New(handle)
	return err
}

func (k *keys) seal(h head) ([]byte, error)         { return k.audit.ComputeMAC(h.sealInput()) }
func (k *keys) checkSeal(h head, seal []byte) error { return k.audit.VerifyMAC(seal, h.sealInput()) }

// forget drops the opened data keys. After the database went back to an older state,
// no value must be encrypted with a key that is gone.
func (k *keys) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.cache)
}

// drop drops a secret's opened data key. If there's no such secret, the key may be that
// of one that another process had written and that the database lost.
func (k *keys) drop(secret string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.cache, secret)
}

// opened returns a data key that find has opened, nil if that has been forgotten.
func (k *keys) opened(secret string) tink.AEAD {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.cache[secret]
}

// find returns a secret's data key, nil if it has none yet.
func (k *keys) find(ctx context.Context, pool *sql.DB, secret string) (tink.AEAD, error) {
	k.mu.Lock()
	key, ok := k.cache[secret]
	k.mu.Unlock()
	if ok {
		return key, nil
	}
	// Two attempts: the master key may be rotated between reading the row and
	// decrypting it.
	handle, err := k.read(ctx, pool, secret)
	if err != nil {
		handle, err = k.read(ctx, pool, secret)
	}
	if handle == nil || err != nil {
		return nil, err
	}
	if key, err = aead.New(handle); err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cache == nil {
		k.cache = map[string]tink.AEAD{}
	}
	for other := range k.cache {
		if len(k.cache) < maxCachedKeys {
			break
		}
		delete(k.cache, other) // any will do: it's opened again when needed
	}
	k.cache[secret] = key
	return key, nil
}

// read opens a secret's data key, nil if it has none yet.
func (k *keys) read(ctx context.Context, pool *sql.DB, secret string) (*keyset.Handle, error) {
	row := readFrom(ctx, pool)
	var wrapped []byte
	found, err := row(sqlDataKey, []any{dataKeyID(secret)}, &wrapped)
	if err != nil || !found {
		return nil, err
	}
	return k.open(row, wrapped, dataKeyID(secret))
}

// dataKey returns a secret's data key inside the transaction. A missing one is
// created together with the secret. It isn't cached, because the transaction
// may be rolled back, and no value must ever be encrypted with a key that is
// gone.
func (k *keys) dataKey(t *tx, secret string, make bool) (tink.AEAD, error) {
	var wrapped []byte
	found, err := t.row(sqlDataKey, []any{dataKeyID(secret)}, &wrapped)
	if err != nil {
		return nil, err
	}
	if !found {
		if !make {
			return nil, errNoDataKey
		}
		if wrapped, err = k.create(t, dataKeyID(secret), aead.AES256GCMKeyTemplate()); err != nil {
			return nil, err
		}
	}
	handle, err := k.open(t.row, wrapped, dataKeyID(secret))
	if err != nil {
		return nil, err
	}
	return aead.New(handle)
}

var errNoDataKey = rota.WithRemedies(errors.New("its data key is missing: the database is damaged"), rota.Outside("restore a backup"))

// encrypt seals a credential for one version of one secret.
func encrypt(key tink.AEAD, secret, version string, c rota.Credential) ([]byte, error) {
	plain, err := json.Marshal(c.Fields())
	if err != nil {
		return nil, err
	}
	return key.Encrypt(plain, associated("version", secret, version))
}

// decrypt is the reverse. It fails if the value was changed, or belongs to
// another version or secret.
func decrypt(key tink.AEAD, secret, version string, value []byte) (rota.Credential, error) {
	v, err := openValue(key, secret, version, value)
	if err != nil {
		return rota.Credential{}, err
	}
	var fields map[string]string
	if v.Text == nil || json.Unmarshal([]byte(*v.Text), &fields) != nil || len(fields) == 0 {
		return rota.Credential{}, rota.WithRemedies(errors.New("the stored value isn't a JSON object of text fields"), rota.Outside("put one"))
	}
	return rota.NewCredential(fields), nil
}
