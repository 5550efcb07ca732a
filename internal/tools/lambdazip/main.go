// The command lambdazip packs a program as Lambda takes it: a zip whose one
// file, bootstrap, may be executed. The same program gives the same zip.
package main

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "lambdazip:", err)
		os.Exit(1)
	}
}

func run(args []string) (err error) {
	if len(args) != 2 {
		return errors.New("give the zip to write and the program (try: lambdazip dist/rota-lambda-arm64.zip dist/lambda-arm64/bootstrap)")
	}
	program, err := os.Open(args[1]) //nolint:gosec // the paths are the Makefile's own
	if err != nil {
		return err
	}
	defer func() { _ = program.Close() }()
	out, err := os.Create(args[0]) //nolint:gosec // the same
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	return pack(out, program)
}

// pack writes the zip. The date is the oldest that a zip can hold.
func pack(out io.Writer, program io.Reader) error {
	z := zip.NewWriter(out)
	header := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)}
	header.SetMode(0o755)
	file, err := z.CreateHeader(header)
	if err != nil {
		return err
	}
	if _, err := io.Copy(file, program); err != nil {
		return err
	}
	return z.Close()
}
