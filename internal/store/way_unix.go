//go:build linux || darwin || freebsd || netbsd || openbsd

package store

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/rota-dev/rota"
)

// Whoever owns a folder on the way to the store, or a link, can put another store
// with another key in its place: with administrators and values of their own.

// checkOwner refuses what belongs to neither this user nor root.
func checkOwner(path string, info fs.FileInfo) error {
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || owner.Uid == 0 || int(owner.Uid) == os.Geteuid() {
		return nil
	}
	return rota.WithRemedies(
		fmt.Errorf("%s belongs to user %d, who could replace the store; this process runs as user %d", path, owner.Uid, os.Geteuid()),
		slices.Concat(rota.Outside(fmt.Sprintf("run rota as user %d", owner.Uid)), rota.Outside(fmt.Sprintf("chown %d %s", os.Geteuid(), path))))
}

func ownedByRoot(info fs.FileInfo) bool {
	owner, ok := info.Sys().(*syscall.Stat_t)
	return ok && owner.Uid == 0
}

// checkWay does the same for every folder and link on the way to a folder. On a
// volume, which only this user's processes see, everyone may write to the first
// folder: containers' volumes often begin with such a one.
func checkWay(dir, volume string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	at, rest := "/", steps(dir)
	for links := 0; len(rest) > 0; {
		entry := filepath.Join(at, rest[0])
		rest = rest[1:]
		info, err := os.Lstat(entry)
		if err != nil {
			return err
		}
		if err := checkOwner(entry, info); err != nil {
			return err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			if len(rest) > 0 && info.Mode()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0 && entry != volume {
				return rota.WithRemedies(fmt.Errorf("%s can be written to by everyone, who could replace the store", entry), rota.Outside("chmod o-w "+entry))
			}
			at = entry
			continue
		}
		const most = 40
		if links++; links > most {
			return fmt.Errorf("%s: too many symbolic links", dir)
		}
		to, err := os.Readlink(entry)
		if err != nil {
			return err
		}
		if rest = append(steps(to), rest...); filepath.IsAbs(to) {
			at = "/"
		}
	}
	return nil
}

// steps are the names on a path.
func steps(path string) []string {
	return slices.DeleteFunc(strings.Split(path, "/"), func(name string) bool { return name == "" || name == "." })
}
