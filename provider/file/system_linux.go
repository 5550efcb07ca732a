package file

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/rota-dev/rota"
)

// appendOnly refuses a folder in which files can be created but not renamed or
// removed.
func (p *place) appendOnly() error {
	if attributes(p, ".")&unix.STATX_ATTR_APPEND != 0 {
		return rota.WithRemedies(fmt.Errorf("%s is append-only, so nothing in it can be replaced", filepath.Dir(p.config.Path)), rota.Outside("chattr -a on the folder"))
	}
	return nil
}

// hindrance is what the file system says against replacing the file: attributes
// that even root has to take off first, or a mount on the file itself.
func (p *place) hindrance() error {
	if p.found == nil {
		return nil
	}
	switch file := attributes(p, p.base); {
	case file&unix.STATX_ATTR_IMMUTABLE != 0:
		return rota.WithRemedies(fmt.Errorf("%s is immutable", p.config.Path), rota.Outside("chattr -i on the file"))
	case file&unix.STATX_ATTR_APPEND != 0:
		return rota.WithRemedies(fmt.Errorf("%s is append-only", p.config.Path), rota.Outside("chattr -a on the file"))
	case file&unix.STATX_ATTR_MOUNT_ROOT != 0:
		return rota.WithRemedies(fmt.Errorf("%s is mounted by itself, so no other file can take its place", p.config.Path), rota.Outside("mount its folder instead of the file"))
	}
	return nil
}

// attributes are the file's STATX_ATTR flags, as far as the file system knows
// them. Of what it doesn't tell, the delivery will show.
func attributes(p *place, name string) uint64 {
	var s unix.Statx_t
	for {
		err := unix.Statx(int(p.folder.Fd()), name, unix.AT_SYMLINK_NOFOLLOW|unix.AT_STATX_SYNC_AS_STAT, unix.STATX_TYPE, &s)
		switch {
		case err == nil:
			return s.Attributes & s.Attributes_mask
		case !errors.Is(err, unix.EINTR):
			return 0
		}
	}
}

// accessACL is the attribute that holds a file's access control list.
const accessACL = "system.posix_acl_access"

// readACL is the file's access control list as the kernel stores it; nil if the
// mode says it all.
func readACL(f *os.File) ([]byte, error) {
	list := make([]byte, 64<<10) // the most that an attribute can hold
	n, err := unix.Fgetxattr(int(f.Fd()), accessACL, list)
	switch {
	case errors.Is(err, unix.ENODATA), errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.ENOSYS):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return list[:n], nil
}

// writeACL gives the file this access control list, or takes off one that it got
// from its folder.
func writeACL(f *os.File, list []byte) error {
	if list != nil {
		return unix.Fsetxattr(int(f.Fd()), accessACL, list, 0)
	}
	err := unix.Fremovexattr(int(f.Fd()), accessACL)
	if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.ENOSYS) {
		return nil
	}
	return err
}
