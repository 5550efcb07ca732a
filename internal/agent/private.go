package agent

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
)

// Private is a folder for one process's files with values: only its user may open
// it, it's in memory if the system has a place for that, and it's removed at the
// end.
type Private struct{ dir string }

// NewPrivate makes a folder. The environment says where the user's or the service's
// folder in memory is.
func NewPrivate(lookupEnv func(string) (string, bool)) (*Private, error) {
	var failures []error
	for _, name := range []string{"RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"} {
		if dir, ok := lookupEnv(name); ok && filepath.IsAbs(dir) {
			made, err := os.MkdirTemp(dir, "rota-exec-")
			if err == nil {
				return &Private{made}, nil
			}
			failures = append(failures, err)
		}
	}
	for _, dir := range []string{"/dev/shm", os.TempDir()} {
		if made, err := os.MkdirTemp(dir, "rota-exec-"); err == nil {
			return &Private{made}, nil
		} else {
			failures = append(failures, err)
		}
	}
	return nil, errors.Join(failures...)
}

// Path is where the file with a name is.
func (p *Private) Path(name string) string { return filepath.Join(p.dir, name) }

// Write replaces a file, if its content is another one.
func (p *Private) Write(name string, content []byte) error {
	path := p.Path(name)
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, content) {
		return nil
	}
	f, err := os.CreateTemp(p.dir, ".new-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), path)
}

// Remove removes the folder with all files.
func (p *Private) Remove() error {
	if p == nil {
		return nil
	}
	return os.RemoveAll(p.dir)
}
