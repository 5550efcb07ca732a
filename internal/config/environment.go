package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// maxValue is the largest value a reference can have, in bytes.
const maxValue = 64 << 10

// Environment is what wiring needs from the outside.
type Environment struct {
	// OwnStore returns Rota's own store of a secret. It must be set if any
	// secret in the file has no store.
	OwnStore func(name string) rota.Store
	// LookupEnv resolves ${env:…}. Defaults to [os.LookupEnv].
	LookupEnv func(name string) (string, bool)
	// ReadFile reads ${file:…}, and returns the file's permissions too.
	// Defaults to reading local files.
	ReadFile func(path string) ([]byte, fs.FileMode, error)
	// Outbox keeps events for digests. Without it, digests accept no events.
	Outbox rotation.Outbox
	// Budget limits the calls to each account. By default, each connection has
	// its own.
	Budget rota.Budget
}

func (e Environment) withDefaults() Environment {
	if e.OwnStore == nil {
		e.OwnStore = func(string) rota.Store { return nil }
	}
	if e.LookupEnv == nil {
		e.LookupEnv = os.LookupEnv
	}
	if e.ReadFile == nil {
		e.ReadFile = readFile
	}
	return e
}

func readFile(path string) ([]byte, fs.FileMode, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	if info.IsDir() {
		return nil, 0, errors.New("is a folder")
	}
	data, err := io.ReadAll(io.LimitReader(f, maxValue+1))
	if err == nil && len(data) > maxValue {
		err = fmt.Errorf("is larger than %d KiB", maxValue>>10)
	}
	return data, info.Mode().Perm(), err
}
