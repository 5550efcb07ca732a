package file

import (
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/rota-dev/rota"
)

// hindrance is what the file system says against replacing the file: attributes
// that even root has to take off first, or a mount on the file itself.
func (p *place) hindrance() error {
	if attributes(p, ".")&unix.STATX_ATTR_APPEND != 0 {
		return rota.WithRemedies(fmt.Errorf("%s is append-only, so nothing in it can be replaced", filepath.Dir(p.config.Path)), rota.Outside("chattr -a on the folder"))
	}
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
