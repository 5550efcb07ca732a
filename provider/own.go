package provider

import (
	"os"
	"path/filepath"
	"strings"
)

// OwnPath is a file or folder that Rota itself lives on, such as rota.yaml or
// the data folder: no target may write to it, or into it.
type OwnPath struct {
	Path string // absolute
	What string // what it is, for errors: "Rota's data folder"
}

// Holds reports whether a path names the same file or folder, or one inside it,
// by its text alone.
func (o OwnPath) Holds(path string) bool {
	rest, err := filepath.Rel(o.Path, path)
	return err == nil && rest != ".." && !strings.HasPrefix(rest, ".."+string(filepath.Separator))
}

// HoldsFile is Holds by what the file system says: another path, a link or a
// mount may lead to the same place. The path need not exist, but its folder has
// to.
func (o OwnPath) HoldsFile(path string) bool {
	if o.Holds(path) {
		return true
	}
	own, err := os.Stat(o.Path)
	if err != nil {
		return false // nothing leads to what isn't there
	}
	if there, err := os.Stat(path); err == nil && os.SameFile(own, there) {
		return true
	}
	folder, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return false
	}
	for {
		if there, err := os.Stat(folder); err == nil && os.SameFile(own, there) {
			return true
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			return false
		}
		folder = parent
	}
}
