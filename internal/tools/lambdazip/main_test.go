package main

import (
	"archive/zip"
	"bytes"
	"io"
	"strings"
	"testing"
)

func TestTheSameProgramGivesTheSameZip(t *testing.T) {
	var first, second bytes.Buffer
	for _, out := range []*bytes.Buffer{&first, &second} {
		if err := pack(out, strings.NewReader("a program")); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("two zips of one program differ")
	}
	z, err := zip.NewReader(bytes.NewReader(first.Bytes()), int64(first.Len()))
	if err != nil || len(z.File) != 1 {
		t.Fatalf("%v, %d files; want 1", err, len(z.File))
	}
	f := z.File[0]
	if f.Name != "bootstrap" || f.Mode().Perm() != 0o755 {
		t.Errorf("%s with mode %v, want bootstrap that may be executed", f.Name, f.Mode())
	}
	r, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(r); err != nil || string(data) != "a program" {
		t.Errorf("it holds %q, %v", data, err)
	}
}
