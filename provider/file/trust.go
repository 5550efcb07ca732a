package file

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
)

// A file that's replaced passes its owner, group, mode and access control list
// on to the new one. So it matters who put it there: where others can write to a
// folder, whoever creates the file first, or makes another take its place, would
// get the credential. The same goes for every folder and link on the way.

// trust is who may own what's found on the way to a file.
type trust struct {
	uids   []int
	loose  bool        // others can replace a folder on the way
	folder fs.FileInfo // the last of the way
	links  []link      // those that lead only where their owner could write anyway
}

// link is a symbolic link of someone who is neither root nor this user. Its owner
// chooses where it leads at any time, so it may only lead to a folder of their
// own: this user can write to many more.
type link struct {
	path string
	uid  int
}

// maxLinks is how many links on the way are followed.
const maxLinks = 40

// walk follows the way to a folder, and refuses it if a stranger may have laid
// it: where others can write, everything must belong to this user, root or the
// configured owner. Elsewhere, a folder's owner was given it by someone trusted.
func walk(dir string, c Config) (*trust, error) {
	wanted, err := wantedOwner(c, nil)
	if err != nil {
		return nil, err
	}
	t := &trust{uids: []int{os.Geteuid(), 0}}
	if wanted.uid >= 0 {
		t.uids = append(t.uids, wanted.uid)
	}
	at := filepath.VolumeName(dir) + string(filepath.Separator)
	if t.folder, err = os.Stat(at); err != nil {
		return nil, err
	}
	rest := steps(dir)
	for links := 0; len(rest) > 0; {
		entry := filepath.Join(at, rest[0]) // for "..", the folder above
		if rest[0] == ".." {
			if t.folder, err = os.Lstat(entry); err != nil {
				return nil, err
			}
			at, rest = entry, rest[1:]
			continue
		}
		rest = rest[1:]
		info, err := os.Lstat(entry)
		if err != nil {
			return nil, err
		}
		if err := t.step(at, entry, info); err != nil {
			return nil, err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			at, t.folder = entry, info
			continue
		}
		if uid := ownerOf(info).uid; uid > 0 && uid != os.Geteuid() {
			t.links = append(t.links, link{entry, uid})
		}
		if links++; links > maxLinks {
			return nil, fmt.Errorf("%s: too many symbolic links", dir)
		}
		to, err := os.Readlink(entry)
		if err != nil {
			return nil, err
		}
		rest = append(steps(to), rest...)
		if filepath.IsAbs(to) {
			at = filepath.VolumeName(to) + string(filepath.Separator)
			if t.folder, err = os.Stat(at); err != nil {
				return nil, err
			}
		}
	}
	return t, t.checkLinks(dir)
}

// checkLinks refuses links that lead to what isn't their owner's.
func (t *trust) checkLinks(dir string) error {
	for _, l := range t.links {
		if uid := ownerOf(t.folder).uid; uid != l.uid {
			return rota.WithRemedies(
				fmt.Errorf("%s is a symbolic link of user %d, and leads to a folder of user %d: with it, they could have any folder written to", l.path, l.uid, uid),
				rota.Configure("path", "the folder that "+dir+" leads to"))
		}
	}
	return nil
}

// steps are the names on a path.
func steps(path string) []string {
	path = path[len(filepath.VolumeName(path)):]
	return slices.DeleteFunc(strings.Split(filepath.ToSlash(path), "/"), func(name string) bool { return name == "" || name == "." })
}

// step looks at the next folder or link, in the folder at hand.
func (t *trust) step(at, entry string, info fs.FileInfo) error {
	uid := ownerOf(info).uid
	switch {
	case uid < 0 || slices.Contains(t.uids, uid):
	case t.loose || isOpen(t.folder):
		return rota.WithRemedies(
			fmt.Errorf("%s belongs to user %d, who may have created it because others can write to %s", entry, uid, at),
			slices.Concat(rota.Outside("let only trusted users write to "+at),
				rota.Configure("owner", "the file's owner, if that user may have the credential")))
	default:
		t.uids = append(t.uids, uid)
	}
	t.loose = t.loose || isOpen(t.folder) && t.folder.Mode()&fs.ModeSticky == 0
	return nil
}

// file refuses to take anything over from the file that was found if a stranger
// may have put it there.
func (t *trust) file(p *place) error {
	if !t.loose && !isOpen(t.folder) {
		return nil
	}
	dir, is := filepath.Dir(p.config.Path), ownerOf(p.found)
	refuse := func(format string, args ...any) error {
		return rota.WithRemedies(fmt.Errorf(format, args...), rota.Outside("remove the file, and let only trusted users write to "+dir))
	}
	if p.config.Owner == "" && is.uid >= 0 && !slices.Contains(t.uids, is.uid) {
		err := fmt.Errorf("%s belongs to user %d, who may have created it because others can write to %s", p.config.Path, is.uid, dir)
		return rota.WithRemedies(err, rota.Configure("owner", "the user who may have the credential"))
	}
	if n := links(p.found); n > 1 {
		return refuse("%s is one of %d names of the same file, and others can write to %s", p.config.Path, n, dir)
	}
	// Only a folder with the sticky bit keeps others from moving a file of ours
	// to this path, with the readers that it has.
	if !t.loose && t.folder.Mode()&fs.ModeSticky != 0 || p.mode()&0o070 == 0 {
		return nil
	}
	if p.acl != nil {
		return refuse("%s has an access control list, which anyone may have chosen who can write to %s", p.config.Path, dir)
	}
	if p.config.Group == "" && !slices.Contains([]int{os.Getegid(), 0, ownerOf(t.folder).gid}, is.gid) {
		err := fmt.Errorf("%s is for group %d, which anyone may have chosen who can write to %s", p.config.Path, is.gid, dir)
		return rota.WithRemedies(err, rota.Configure("group", "the group that may read the credential"))
	}
	return nil
}

// isOpen reports whether others than its owner and root can write to the folder.
// An access control list's mask shows as the group's permissions.
func isOpen(folder fs.FileInfo) bool { return folder.Mode()&0o022 != 0 }

// isMine reports whether the file belongs to this process's user.
func isMine(f fs.FileInfo) bool { return ownerOf(f).uid == os.Geteuid() }
