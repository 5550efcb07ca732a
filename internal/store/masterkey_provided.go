package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"

	"github.com/tink-crypto/tink-go/v2/keyset"

	"github.com/rota-dev/rota"
)

// providedKeyFile is a key file that something else makes and replaces, such as a
// Kubernetes Secret. The kubelet mounts it as root's own, and lets a container that
// doesn't run as root read it by its group.
type providedKeyFile struct{ keyFileStorage }

func (p providedKeyFile) load(row rowReader) ([]byte, error) {
	path := string(p.keyFileStorage)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, rota.WithRemedies(fmt.Errorf("the key file %s isn't there", path), append(rota.Outside("provide a rota.key, as this makes one in a data folder"), rota.Command("rota migrate")...))
	}
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	if err := checkWay(path, ""); err != nil {
		return nil, err
	}
	if err := checkOwner(path, info); err != nil {
		return nil, err
	}
	open := fs.FileMode(0o077)
	if ownedByRoot(info) {
		open = 0o037
	}
	if mode := info.Mode().Perm(); mode&open != 0 && runtime.GOOS != "windows" {
		return nil, rota.WithRemedies(fmt.Errorf("%s is accessible to others than its owner (mode %04o)", path, mode), rota.Outside("mode 0400, or 0440 if root owns it"))
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	return raw, nil
}

func (p providedKeyFile) save(*tx, *keyset.Handle) ([]byte, error) {
	return nil, rota.WithRemedies(fmt.Errorf("%s is provided from outside, and Rota doesn't write it", p.name()),
		rota.Outside("stop everything, rotate it as rota.key in a data folder of your own, and provide the new file"))
}
