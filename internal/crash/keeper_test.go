package crash

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/store"
	"github.com/rota-dev/rota/rotation"
)

// dataFolder is a folder with Rota's own store. A process that dies leaves it
// open, and the next one opens it again.
type dataFolder struct {
	w   *world
	dir string

	mu sync.Mutex
	db *store.DB
	n  int // how many were lost
}

func (d *dataFolder) open() (*store.DB, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.db != nil && d.w.died() {
		if err := d.db.Close(); err != nil { // as the system does with a dead process's files
			return nil, err
		}
		d.db = nil
	}
	if d.db != nil {
		return d.db, nil
	}
	dir := filepath.Join(d.dir, fmt.Sprintf("data-%d", d.n))
	if err := freshData(dir); err != nil {
		return nil, err
	}
	db, err := store.Open(context.Background(), store.Options{Dir: dir, Now: d.w.clock})
	if err != nil {
		return nil, err
	}
	d.db = db
	return db, nil
}

// freshData makes a data folder, unless it's there, as a copy of an empty one: the
// tables are made only once.
func freshData(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		return err
	}
	files, err := emptyData()
	for name, content := range files {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	// The space that the store reserves is taken without being filled: random bytes
	// for each cell take longer than much else in it.
	reserve := filepath.Join(dir, "rota.reserve")
	return errors.Join(err, os.WriteFile(reserve, nil, 0o600), os.Truncate(reserve, 4<<20))
}

// emptyData is an empty data folder's files.
var emptyData = sync.OnceValues(func() (map[string][]byte, error) {
	dir, err := os.MkdirTemp(memoryDisk(), "rota-crash-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	db, err := store.Open(context.Background(), store.Options{Dir: dir})
	if err != nil {
		return nil, err
	}
	if err := db.Close(); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	files := map[string][]byte{}
	for _, e := range entries {
		if e.IsDir() { // with what shows which processes are running
			continue
		}
		if files[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			return nil, err
		}
	}
	return files, err
})

func (d *dataFolder) lose() {
	d.close()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.n++
}

func (d *dataFolder) verify() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.db == nil {
		return nil
	}
	_, err := d.db.Audit().Verify(context.Background())
	return err
}

func (d *dataFolder) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.db != nil {
		_ = d.db.Close() // nothing is read from it any more
	}
	d.db = nil
}

// ownStore is the keeper whose store is Rota's own, in the data folder.
type ownStore struct {
	dataFolder
	values sync.Map // credentials by version: they never change
}

func newOwnStore(w *world, dir string) *ownStore {
	return &ownStore{dataFolder: dataFolder{w: w, dir: dir}}
}

func (o *ownStore) store(p *process) (rota.Store, error) {
	db, err := o.open()
	if err != nil {
		return nil, err
	}
	return &wrappedStore{p, db.Secret(secretName)}, nil
}

func (o *ownStore) journal() (rotation.Journal, error) {
	db, err := o.open()
	if err != nil {
		return nil, err
	}
	return db.Journal(), nil
}

func (o *ownStore) holds() (held, error) {
	db, err := o.open()
	if err != nil {
		return held{}, err
	}
	contents, err := db.Secret(secretName).Describe(context.Background())
	if err != nil {
		return held{}, err
	}
	h := held{labels: map[rota.Label]string{}, versions: map[string]rota.Credential{}}
	for _, v := range contents.Versions {
		if len(v.Labels) == 0 {
			continue
		}
		for _, l := range v.Labels {
			h.labels[l] = v.ID
		}
		if h.versions[v.ID], err = o.value(db, v.ID); err != nil {
			return held{}, err
		}
	}
	return h, nil
}

func (o *ownStore) value(db *store.DB, version string) (rota.Credential, error) {
	if c, ok := o.values.Load(version); ok {
		return c.(rota.Credential), nil
	}
	c, err := db.Secret(secretName).Get(context.Background(), rota.GetRequest{Version: version})
	if err == nil {
		o.values.Store(version, c)
	}
	return c, err
}
