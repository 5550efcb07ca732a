package anchor

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// File is a file that a line of JSON is added to for each head.
type File struct{ Path string }

var _ Destination = File{}

// Name names the file.
func (f File) Name() string { return "file " + f.Path }

// Put adds a line and flushes it to the disk.
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
	// One write: lines of several replicas don't mix.
	if _, err := file.Write(append(line, '\n')); err != nil {
		return err
	}
	return file.Sync()
}

// Heads reads the file. One that is not there holds none; a last line without
// its end, as after a crash, is passed over.
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

// read reads one head a line.
func read(text []byte, where string) ([]Head, error) {
	var heads []Head
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		var h Head
		if err := json.Unmarshal(lines.Bytes(), &h); err != nil {
			return nil, fmt.Errorf("%s:%d: not a head of the audit", where, n)
		}
		heads = append(heads, h)
	}
	return heads, lines.Err()
}
