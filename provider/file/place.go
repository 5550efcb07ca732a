package file

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/fileformat"
)

// errNoFolder: the file's folder does not exist.
var errNoFolder = errors.New("the folder does not exist")

// place is a file in its folder, which is held open: changes to the path in the
// meantime can't redirect a write.
type place struct {
	config  Config
	root    *os.Root
	folder  *os.File
	held    *os.File // the lock; see lock.go
	base    string
	found   fs.FileInfo // nil if there is no file yet
	content []byte
	acl     []byte // of the file that was found; nil without one
	owner   owner  // wanted
}

// openPlace opens the folder, locks the file's place in it, and reads the file.
// It refuses a place that a stranger may have prepared.
func openPlace(ctx context.Context, c Config) (*place, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for _, own := range c.Own {
		if own.HoldsFile(c.Path) {
			return nil, rota.WithRemedies(fmt.Errorf("%s is, or is in, %s, which no target may write to", c.Path, own.What), rota.Configure("", "a file of its own, such as /etc/app/credentials.env"))
		}
	}
	p := &place{config: c, base: filepath.Base(c.Path)}
	if err := p.open(ctx); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *place) open(ctx context.Context) (err error) {
	dir := filepath.Dir(p.config.Path)
	trust, err := walk(dir, p.config)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", dir, errNoFolder)
	} else if err != nil {
		return err
	}
	if p.root, err = os.OpenRoot(dir); err != nil {
		return err
	}
	if p.folder, err = p.root.Open("."); err != nil {
		return err
	}
	folder, err := p.folder.Stat()
	if err != nil {
		return err
	}
	if !os.SameFile(folder, trust.folder) {
		return fmt.Errorf("%s was replaced while it was opened", dir)
	}
	if err := p.appendOnly(); err != nil {
		return err // not even the lock could be removed
	}
	if err := p.lock(ctx); err != nil {
		return err
	}
	if err := p.read(); err != nil {
		return err
	}
	if p.owner, err = wantedOwner(p.config, p.found); err != nil || p.found == nil {
		return err
	}
	return trust.file(p)
}

// close releases the lock and the folder.
func (p *place) close() {
	p.unlock()
	if p.folder != nil {
		_ = p.folder.Close()
	}
	if p.root != nil {
		_ = p.root.Close()
	}
}

// read reads the file, if there is one.
func (p *place) read() error {
	found, err := p.root.Lstat(p.base)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	switch {
	case found.Mode()&fs.ModeSymlink != 0:
		return rota.WithRemedies(fmt.Errorf("%s is a symbolic link, which is not followed", p.config.Path), rota.Outside("the path that it points to"))
	case !found.Mode().IsRegular():
		return rota.WithRemedies(fmt.Errorf("%s is not a regular file", p.config.Path), rota.Outside("the path of a file, or of one that doesn't exist yet"))
	case found.Size() > fileformat.MaxSize:
		return rota.WithRemedies(fmt.Errorf("%s has %d bytes: too large for a credentials file", p.config.Path, found.Size()), rota.Outside("move it away, or use another path"))
	}
	f, err := p.root.OpenFile(p.base, os.O_RDONLY|noWait, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	opened, err := f.Stat()
	if err != nil {
		return err
	}
	if !os.SameFile(found, opened) {
		return fmt.Errorf("%s was replaced while it was read", p.config.Path)
	}
	p.found = opened
	if p.acl, err = readACL(f); err != nil {
		return fmt.Errorf("%s: read its access control list: %w", p.config.Path, err)
	}
	p.content, err = io.ReadAll(io.LimitReader(f, fileformat.MaxSize+1))
	return err
}

// The modes if the configuration names none: of a new file, and the widest that
// an existing one keeps, which is the widest that can be configured.
const (
	newMode    = 0o600
	widestMode = 0o770
)

// mode is the mode that the file gets. A file keeps its own as far as the
// configured one allows: whoever reads it still can, and what its owner closed
// stays closed. One that gets another owner or group gets the configured mode,
// because its own was meant for others.
func (p *place) mode() fs.FileMode {
	switch {
	case p.found == nil || p.config.Mode != 0 && !p.owner.has(p.found):
		return cmp.Or(p.config.Mode, newMode)
	default:
		return p.found.Mode().Perm() & cmp.Or(p.config.Mode, widestMode)
	}
}

// inOrder reports whether the file exists with the right mode and owner.
func (p *place) inOrder() bool {
	return p.found != nil && p.found.Mode().Perm() == p.mode() && p.owner.has(p.found)
}

// replace replaces the file. Before the rename readers see all of the old file,
// after it all of the new one, even after a crash: file and folder are on disk
// when it returns.
func (p *place) replace(content []byte) error {
	if err := p.write(content); err != nil {
		return err
	}
	if err := p.root.Rename(p.temp(), p.base); err != nil {
		_ = p.root.Remove(p.temp())
		return err
	}
	return p.folder.Sync()
}

// rehearse does all that replace does but for the rename: it writes a file of
// the same size, owner and mode, without any value in it, and removes it. What
// would forbid the rename is looked up.
func (p *place) rehearse(size int) error {
	if err := p.irreplaceable(); err != nil {
		return err
	}
	if err := p.write(make([]byte, size)); err != nil {
		return err
	}
	return p.root.Remove(p.temp())
}

// irreplaceable says why no other file may take the place of the one that's
// there, although files can be created in its folder.
func (p *place) irreplaceable() error {
	folder, err := p.folder.Stat()
	if err != nil {
		return err
	}
	if p.found != nil && isStickyFor(folder, p.found) {
		return rota.WithRemedies(fmt.Errorf("%s belongs to another user, and the folder's sticky bit lets only its owner replace it", p.config.Path),
			rota.Outside("a folder of the user that Rota runs as, or run Rota as the file's owner"))
	}
	return p.hindrance()
}

// temp is the name of the file to be. The lock makes it ours: an existing one
// was left by a crash.
func (p *place) temp() string { return "." + p.base + ".rota-new" }

// write writes the file to be, with its owner and mode, to disk.
func (p *place) write(content []byte) (err error) {
	temp := p.temp()
	if err := p.remove(temp); err != nil {
		return err
	}
	f, err := p.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = p.root.Remove(temp)
		}
	}()
	// The owner before the mode, and all of it before the first byte, so that it's
	// never readable to anyone who can't read the final file. Changing the
	// owner may clear mode bits.
	if err := p.owner.give(f); err != nil {
		return fmt.Errorf("change the owner to %s: %w", p.owner, err)
	}
	if p.found != nil { // a new file keeps what its folder passes on
		if err := writeACL(f, p.acl); err != nil {
			return fmt.Errorf("carry over the access control list: %w", err)
		}
	}
	if err := f.Chmod(p.mode()); err != nil {
		return err
	}
	if _, err := f.Write(content); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}
