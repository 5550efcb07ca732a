package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

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
	// KubernetesSecret resolves ${kubernetes:…} in custom resources. Without it, such a
	// reference has no value.
	KubernetesSecret func(namespace, name, key string) (string, error)
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

// pipeWithin is how long a pipe may take to have a value: whoever can put one in
// a file's place must not stop everything else from being looked at.
const pipeWithin = 5 * time.Second

func readFile(path string) ([]byte, fs.FileMode, error) {
	f, err := openAtOnce(path)
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
	until := time.Now().Add(pipeWithin)
	_ = f.SetReadDeadline(until) // a regular file has none, and needs none
	data, err := io.ReadAll(io.LimitReader(f, maxValue+1))
	for err == nil && len(data) == 0 && info.Mode()&fs.ModeNamedPipe != 0 && time.Now().Before(until) {
		time.Sleep(20 * time.Millisecond) // until somebody opens the other end
		data, err = io.ReadAll(io.LimitReader(f, maxValue+1))
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = fmt.Errorf("is a pipe, and nobody wrote all of a value to it within %s", pipeWithin)
	case err == nil && len(data) > maxValue:
		err = fmt.Errorf("is larger than %d KiB", maxValue>>10)
	}
	return data, info.Mode().Perm(), err
}
