package command

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rota-dev/rota"
)

// trusted refuses a program that gets values if anyone but root and this user could
// have replaced it: the program itself, a file that's one of its arguments, such as a
// script, or a folder on the way there.
func (r *runner) trusted(program string) error {
	files := []string{program}
	for _, argument := range r.config.Command[1:] {
		if info, err := os.Stat(argument); err == nil && filepath.IsAbs(argument) && info.Mode().IsRegular() {
			files = append(files, argument)
		}
	}
	for _, file := range files {
		real, err := filepath.EvalSymlinks(file)
		if err != nil {
			return err
		}
		for _, path := range []string{real, filepath.Clean(file)} { // links lie in folders, too
			if err := trustedPath(path); err != nil {
				return err
			}
		}
	}
	return nil
}

func trustedPath(path string) error {
	for at := path; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err != nil {
			return err
		}
		uid := ownerOf(info)
		switch {
		case uid > 0 && uid != os.Geteuid():
			return rota.WithRemedies(fmt.Errorf("%s belongs to user %d, who could change what it does", at, uid),
				rota.Outside(fmt.Sprintf("make root or the user that Rota runs as, %d, its owner", os.Geteuid())))
		case info.Mode()&0o022 != 0 && (!info.IsDir() || info.Mode()&fs.ModeSticky == 0) && checksModes:
			return rota.WithRemedies(fmt.Errorf("others than its owner can write to %s, and so change what it does", at), rota.Outside("chmod go-w "+at))
		case at == filepath.Dir(at):
			return nil
		}
	}
}
