// The command lambdazip packs a program as Lambda takes it: a zip in which it is
// bootstrap and may be executed, and other files, such as rota.yaml, beside it.
// The same files give the same zip.
package main

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "lambdazip:", err)
		os.Exit(1)
	}
}

func run(args []string) (err error) {
	if len(args) < 2 {
		return errors.New("usage: lambdazip dist/rota-lambda-arm64.zip dist/lambda-arm64/bootstrap rota.yaml: the zip to write, the program, and what else goes in")
	}
	out, err := os.Create(args[0]) //nolint:gosec // the paths are the Makefile's own
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	return pack(out, args[1], args[2:]...)
}

// pack writes the zip. The date is the oldest that a zip can hold.
func pack(out io.Writer, program string, others ...string) error {
	z := zip.NewWriter(out)
	if err := add(z, "bootstrap", 0o755, program); err != nil {
		return err
	}
	taken := map[string]bool{"bootstrap": true}
	for _, path := range others {
		name := filepath.Base(path)
		if taken[name] {
			return fmt.Errorf("%s: the zip has a file %s already", path, name)
		}
		taken[name] = true
		if err := add(z, name, 0o644, path); err != nil {
			return err
		}
	}
	return z.Close()
}

func add(z *zip.Writer, name string, mode fs.FileMode, path string) error {
	in, err := os.Open(path) //nolint:gosec // what its caller names
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	header := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)}
	header.SetMode(mode)
	file, err := z.CreateHeader(header)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, in)
	return err
}
