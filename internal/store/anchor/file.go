package anchor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// File appends a line of JSON to a file for each head.
type File struct{ Path string }

var _ Destination = File{}

func (f File) Name() string { return "file " + f.Path }

// Put appends a line and syncs it to disk.
func (f File) Put(_ context.Context, h Head) (err error) {
	line, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(f.Path), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(f.Path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	// A single write, so that lines from several replicas don't interleave.
	if _, err := file.Write(append(line, '\n')); err != nil {
		return err
	}
	return file.Sync()
}

// Heads reads the file. A missing file has no heads. An incomplete last line,
// as after a crash, is ignored.
func (f File) Heads(context.Context) ([]Head, error) {
	text, err := os.ReadFile(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	end := bytes.LastIndexByte(text, '\n')
	return read(text[:end+1], f.Path)
}

// read parses one head per line. It goes on after one that isn't a head.
func read(text []byte, where string) ([]Head, error) {
	var heads []Head
	var stray []string
	n := 0
	for line := range bytes.Lines(text) {
		n++
		var h Head
		if err := json.Unmarshal(line, &h); err != nil {
			stray = append(stray, fmt.Sprintf("%s:%d", where, n))
			continue
		}
		heads = append(heads, h)
	}
	return heads, strays(stray)
}
