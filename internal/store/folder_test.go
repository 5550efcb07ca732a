package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rota-dev/rota/internal/hint"
)

func TestCheckCreatable(t *testing.T) {
	open := filepath.Join(t.TempDir(), "open")
	must(t, os.Mkdir(open, 0o700))
	wide := filepath.Join(t.TempDir(), "wide")
	must(t, os.Mkdir(wide, 0o750))
	must(t, os.Chmod(wide, 0o750))
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	for _, tt := range []struct{ name, dir, want string }{
		{"an empty folder", open, ""},
		{"a folder to be made", filepath.Join(open, "a", "b"), ""},
		{"a folder that the group may read", wide, "(try: chmod 700 "},
		{"a file in its place", file, "(try: "},
		{"a file among those above it", filepath.Join(file, "a"), "not a directory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := CheckCreatable(tt.dir, "")
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(hint.Text(err), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
	if _, err := os.Stat(filepath.Join(open, "a")); err == nil {
		t.Error("it made a folder")
	}
}

// A user who isn't bound by permissions can write there anyway: the check must
// agree with what happens.
func TestCheckCreatableBelowAReadOnlyFolder(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "read-only")
	must(t, os.Mkdir(folder, 0o500))
	said := CheckCreatable(filepath.Join(folder, "a", "b"), "")
	if happens := os.Mkdir(filepath.Join(folder, "a"), 0o700); (said == nil) != (happens == nil) {
		t.Errorf("it says %v, and what happens is %v", said, happens)
	}
	if said != nil && !strings.Contains(hint.Text(said), "writable for this user") {
		t.Errorf("no hint: %v", said)
	}
}
