// Package filesource reads secrets from files, for package client: a mounted
// Kubernetes Secret, a systemd credential, or a file that Rota's file target or an
// agent writes.
//
//	secrets, err := client.Open(client.Options{Source: filesource.New("/etc/rota/secrets")})
//	…
//	secrets.Secret("orders-db")   // the folder /etc/rota/secrets/orders-db: a file for each field
//	secrets.Secret("orders.json") // the file /etc/rota/secrets/orders.json
//
// A name is a path below the source's folder. A folder's files are the fields, as a
// mounted Secret has them; files whose names begin with a dot are left out. A file
// is the secret's text, and if that's a JSON object, its members are the fields.
//
// A mounted Secret is replaced all at once by the swap of a symlink. Its fields are
// always read from one side of that swap, so a user and a password that don't
// belong together are never seen. Other folders are read until two reads agree.
package filesource

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rota-dev/rota/client"
	"github.com/rota-dev/rota/client/internal/digest"
)

// every is how often files are looked at: mounted Secrets change behind symlinks on
// file systems that don't tell, and a look costs a few microseconds.
const every = time.Second

// maxFile is the largest file that's read, in bytes. A Kubernetes Secret has at most
// 1 MiB.
const maxFile = 1 << 20

// New returns a source that reads files below a folder.
func New(folder string) client.Pusher {
	return &source{folder: folder, digest: digest.New(), seen: map[string]string{}}
}

type source struct {
	folder string
	digest *digest.Key

	mu   sync.Mutex
	seen map[string]string // secrets that were read, with the version of the last look
}

// Fetch reads the files of a secret. They have no previous version.
func (s *source) Fetch(_ context.Context, r client.Request) (client.Value, error) {
	if r.Previous {
		return client.Value{}, fmt.Errorf("files have no previous version: %w", client.ErrNotFound)
	}
	v, err := s.read(r.Secret)
	if err != nil {
		return client.Value{}, err
	}
	s.mu.Lock()
	s.seen[r.Secret] = v.Version()
	s.mu.Unlock()
	if v.Version() == r.Have {
		return client.Value{}, client.ErrUnchanged
	}
	return v, nil
}

// Push looks at the files that were read before, every second.
func (s *source) Push(ctx context.Context, changed func(string)) error {
	changed("")
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		s.mu.Lock()
		seen := maps.Clone(s.seen)
		s.mu.Unlock()
		for name, version := range seen {
			if v, err := s.read(name); err != nil || v.Version() != version {
				changed(name)
			}
		}
	}
}

// read reads a secret's file or folder. Its version follows the content: a file that
// is written again with the same content hasn't changed.
func (s *source) read(name string) (client.Value, error) {
	if !filepath.IsLocal(name) {
		return client.Value{}, fmt.Errorf("%q isn't a path below %s: %w", name, s.folder, client.ErrNotFound)
	}
	path := filepath.Join(s.folder, name)
	info, err := os.Stat(path)
	if err != nil {
		return client.Value{}, translate(err)
	}
	if info.IsDir() {
		return s.readFolder(path)
	}
	text, err := readFile(path)
	if err != nil {
		return client.Value{}, translate(err)
	}
	return client.TextValue(s.digest.Of(text), text), nil
}

// attempts is how often a folder is read that changes meanwhile.
const attempts = 5

// readFolder reads the fields, all from the same moment.
func (s *source) readFolder(path string) (client.Value, error) {
	var before map[string]string
	for range attempts {
		data, mounted := mountedAt(path)
		fields, err := readFields(data)
		if mounted {
			if now, _ := mountedAt(path); now != data {
				continue // it was swapped, and the files of the old folder may have been removed one by one
			}
		}
		if err != nil {
			return client.Value{}, translate(err)
		}
		if mounted || before != nil && maps.Equal(before, fields) {
			return s.value(fields), nil
		}
		before = fields
	}
	return client.Value{}, fmt.Errorf("the files in %s keep changing", path)
}

// mountedAt returns where the files of a mounted Secret are. Kubernetes writes them to
// another folder, then points ..data there, and then removes the folder from before.
func mountedAt(path string) (data string, mounted bool) {
	data, err := filepath.EvalSymlinks(filepath.Join(path, "..data"))
	if err != nil {
		return path, false
	}
	return data, true
}

func readFields(path string) (map[string]string, error) {
	files, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	fields := map[string]string{}
	for _, f := range files {
		if strings.HasPrefix(f.Name(), ".") {
			continue
		}
		text, err := readFile(filepath.Join(path, f.Name()))
		if err != nil {
			return nil, err
		}
		fields[f.Name()] = text
	}
	if len(fields) == 0 {
		return nil, fmt.Errorf("there are no files in %s: %w", path, fs.ErrNotExist)
	}
	return fields, nil
}

func readFile(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s isn't a regular file", path)
	}
	if info.Size() > maxFile {
		return "", fmt.Errorf("%s is larger than 1 MiB", path)
	}
	text, err := os.ReadFile(path)
	return string(text), err
}

func (s *source) value(fields map[string]string) client.Value {
	parts := make([]string, 0, 2*len(fields))
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		parts = append(parts, name, fields[name])
	}
	return client.NewValue(s.digest.Of(parts...), fields)
}

// translate says what an error means for package client.
func translate(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %w", client.ErrNotFound, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w", client.ErrDenied, err)
	}
	return err
}
