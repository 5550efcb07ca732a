package file

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
)

// owner is who a file should belong to; -1 leaves it as it is.
type owner struct{ uid, gid int }

func (o owner) String() string { return fmt.Sprintf("user %d, group %d", o.uid, o.gid) }

// wantedOwner is the config's owner, or else the owner of the file being replaced.
func wantedOwner(c Config, found fs.FileInfo) (owner, error) {
	o := owner{-1, -1}
	if found != nil {
		o = ownerOf(found)
	}
	if c.Owner != "" {
		id, err := number(c.Owner, func(name string) (string, error) {
			u, err := user.Lookup(name)
			if err != nil {
				return "", err
			}
			return u.Uid, nil
		})
		if err != nil {
			return o, fmt.Errorf("owner %q: %w", c.Owner, err)
		}
		o.uid = id
	}
	if c.Group != "" {
		id, err := number(c.Group, func(name string) (string, error) {
			g, err := user.LookupGroup(name)
			if err != nil {
				return "", err
			}
			return g.Gid, nil
		})
		if err != nil {
			return o, fmt.Errorf("group %q: %w", c.Group, err)
		}
		o.gid = id
	}
	return o, nil
}

// number returns a numeric id as is, and looks up a name.
func number(s string, lookUp func(string) (string, error)) (int, error) {
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		return int(n), nil
	}
	id, err := lookUp(s)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(id)
}

// has reports whether the file already belongs to the owner.
func (o owner) has(f fs.FileInfo) bool {
	is := ownerOf(f)
	return (o.uid < 0 || o.uid == is.uid) && (o.gid < 0 || o.gid == is.gid)
}

// give makes the file the owner's, if it isn't already.
func (o owner) give(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if o.has(info) {
		return nil
	}
	return f.Chown(o.uid, o.gid)
}
