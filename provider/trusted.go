package provider

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rota-dev/rota"
)

// maxLinks is how many symbolic links a path may have, as in the kernel.
const maxLinks = 40

// TrustedPath refuses a file that says what Rota runs, such as a program, if anyone but
// root and this user could have replaced it. It looks at everything on the way there, from
// the root on. Each symbolic link counts, too, with the folders that it lies in.
func TrustedPath(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	root := filepath.VolumeName(path) + string(filepath.Separator)
	at, rest, links := root, split(path), 0
	for {
		info, err := os.Lstat(at)
		if err != nil {
			return err
		}
		if err := trustedEntry(at, info); err != nil {
			return err
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			if links++; links > maxLinks {
				return fmt.Errorf("%s: too many symbolic links", path)
			}
			to, err := os.Readlink(at)
			if err != nil {
				return err
			}
			at = filepath.Dir(at)
			if filepath.IsAbs(to) {
				at = root
			}
			rest = append(split(to), rest...)
		}
		if len(rest) == 0 {
			return nil
		}
		at, rest = filepath.Join(at, rest[0]), rest[1:]
	}
}

// split is a path's names, with .. among them.
func split(path string) []string {
	return strings.FieldsFunc(strings.TrimPrefix(path, filepath.VolumeName(path)), func(r rune) bool { return r == filepath.Separator })
}

func trustedEntry(at string, info fs.FileInfo) error {
	uid := ownerOf(info)
	switch mode := info.Mode(); {
	case uid > 0 && uid != os.Geteuid():
		return rota.WithRemedies(fmt.Errorf("%s belongs to user %d, who could change what it does", at, uid),
			rota.Outside(fmt.Sprintf("make root or the user that Rota runs as, %d, its owner", os.Geteuid())))
	case mode&fs.ModeSymlink != 0: // everybody has all permissions on it, which mean nothing
		return nil
	case mode&0o022 != 0 && (!info.IsDir() || mode&fs.ModeSticky == 0) && checksModes:
		return rota.WithRemedies(fmt.Errorf("others than its owner can write to %s, and so change what it does", at), rota.Outside("chmod go-w "+at))
	}
	return nil
}
