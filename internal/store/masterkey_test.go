package store

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/hint"
)

// mask is a Wrapper whose key is one byte.
type mask struct {
	key   byte
	away  atomic.Bool
	calls atomic.Int32
}

var errAway = errors.New("the keeper is away")

func (m *mask) Wrap(_ context.Context, plain []byte) ([]byte, error) {
	m.calls.Add(1)
	if m.away.Load() {
		return nil, errAway
	}
	out := []byte{m.key}
	for _, b := range plain {
		out = append(out, b^m.key)
	}
	return out, nil
}

func (m *mask) Unwrap(ctx context.Context, wrapped []byte) ([]byte, error) {
	if len(wrapped) == 0 || wrapped[0] != m.key {
		return nil, errors.New("another key's")
	}
	plain, err := m.Wrap(ctx, wrapped[1:])
	if err != nil {
		return nil, err
	}
	return plain[1:], nil
}

func keptBy(dir string, keeper Wrapper) Options {
	o := options(dir, nil)
	o.Wrapper = keeper
	return o
}

func openKept(t testing.TB, dir string, keeper Wrapper) *DB {
	t.Helper()
	db, err := Open(t.Context(), keptBy(dir, keeper))
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	return db
}

func TestAWrapperProtectsTheMasterKey(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		dir, keeper := newDir(t), &mask{key: 7}
		db, other := openKept(t, dir, keeper), openKept(t, dir, keeper)
		putMany(t, db, 5)
		if _, err := os.Stat(filepath.Join(dir, keyFile)); err == nil {
			t.Error("there is a key file all the same")
		}
		calls := keeper.calls.Load()
		checkMany(t, db, 5)
		if n := keeper.calls.Load() - calls; n != 0 {
			t.Errorf("the keeper was asked %d times for reading", n)
		}
		must(t, db.RotateMasterKey(t.Context(), nil))
		must(t, other.Secret("s5").Put(t.Context(), rota.PutRequest{Version: "v1", Credential: credential("5"), Labels: []rota.Label{rota.LabelCurrent}}))
		checkMany(t, other, 6)
		checkMany(t, openKept(t, dir, keeper), 6)
		for name, o := range map[string]Options{"another keeper's key": keptBy(dir, &mask{key: 9}), "no keeper": options(dir, nil)} {
			if _, err := Open(t.Context(), o); err == nil {
				t.Errorf("%s opens the store", name)
			}
		}
		keeper.away.Store(true)
		checkMany(t, db, 6) // an open store keeps working
		if err := db.RotateMasterKey(t.Context(), nil); !errors.Is(err, errAway) {
			t.Errorf("rotate the master key without the keeper: %v", err)
		}
		if _, err := Open(t.Context(), keptBy(dir, keeper)); !errors.Is(err, errAway) {
			t.Errorf("open without the keeper: %v", err)
		}
		keeper.away.Store(false)
		must(t, db.RotateMasterKey(t.Context(), nil))
		checkMany(t, openKept(t, dir, keeper), 6)
	})
}

func TestAWrapperImportsTheKeyFile(t *testing.T) {
	onBoth(t, func(t *testing.T, newDir func(testing.TB) string) {
		dir, keeper := newDir(t), &mask{key: 7}
		putMany(t, openAt(t, dir, nil), 3)
		checkMany(t, openKept(t, dir, keeper), 3)
		if _, err := Open(t.Context(), options(dir, nil)); err == nil || !contains(hint.Text(err), "(try: name the key") {
			t.Errorf("open with the key file: %v", err)
		}
		must(t, os.Remove(filepath.Join(dir, keyFile)))
		checkMany(t, openKept(t, dir, keeper), 3)
	})
}

func TestTheMasterKeyIsEncryptedInTheDatabase(t *testing.T) {
	db := openKept(t, newDir(t), &mask{key: 7})
	var wrapped []byte
	must(t, db.reader.QueryRowContext(t.Context(), sqlMasterKey).Scan(&wrapped))
	plain, err := encodeKeyset(db.keys.master.handle)
	must(t, err)
	if len(wrapped) == 0 || bytes.Contains(wrapped, plain[:20]) {
		t.Error("it lies there in clear")
	}
}
