package main

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheSameFilesGiveTheSameZip(t *testing.T) {
	program, config := write(t, "rota", "a program"), write(t, "rota.yaml", "secrets: []")
	var first, second bytes.Buffer
	for _, out := range []*bytes.Buffer{&first, &second} {
		if err := pack(out, program, config); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("two zips of the same files differ")
	}
	z, err := zip.NewReader(bytes.NewReader(first.Bytes()), int64(first.Len()))
	if err != nil || len(z.File) != 2 {
		t.Fatalf("%v, %d files; want 2", err, len(z.File))
	}
	for i, want := range []struct {
		name, text string
		mode       os.FileMode
	}{{"bootstrap", "a program", 0o755}, {"rota.yaml", "secrets: []", 0o644}} {
		f := z.File[i]
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		var text bytes.Buffer
		if _, err := text.ReadFrom(r); err != nil {
			t.Fatal(err)
		}
		if f.Name != want.name || f.Mode().Perm() != want.mode || text.String() != want.text {
			t.Errorf("%s with mode %v holds %q, want %+v", f.Name, f.Mode(), text.String(), want)
		}
	}
}

func TestNoFileHidesAnother(t *testing.T) {
	program := write(t, "rota", "a program")
	for _, others := range [][]string{{write(t, "bootstrap", "x")}, {write(t, "a", "x"), write(t, "a", "y")}, {"not-there"}} {
		if err := pack(&bytes.Buffer{}, program, others...); err == nil {
			t.Errorf("%v were packed", others)
		}
	}
}
