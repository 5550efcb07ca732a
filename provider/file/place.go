package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rota-dev/rota"
)

// maxSize is more than any credentials file needs.
const maxSize = 1 << 20

// errNoFolder: the file's folder does not exist.
var errNoFolder = errors.New("the folder does not exist")

// place is a file in its folder, which is held open and locked: changes to
// the path in the meantime can't redirect a write.
type place struct {
	config  Config
	root    *os.Root
	folder  *os.File // holds the lock
	base    string
	found   fs.FileInfo // nil if there is no file yet
	content []byte
	owner   owner // wanted
}

// openPlace opens and locks the folder, and reads the file.
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
	dir := filepath.Dir(c.Path)
	var err error
	if p.root, err = os.OpenRoot(dir); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s: %w", dir, errNoFolder)
		}
		return nil, err
	}
	if p.folder, err = p.root.Open("."); err != nil {
		p.close()
		return nil, err
	}
	if err := lock(ctx, p.folder); err != nil {
		p.close()
		return nil, fmt.Errorf("%s: lock the folder: %w", dir, err)
	}
	if err := p.read(); err != nil {
		p.close()
		return nil, err
	}
	if p.owner, err = wantedOwner(c, p.found); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// close releases the folder and its lock.
func (p *place) close() {
	if p.folder != nil {
		_ = p.folder.Close()
	}
	_ = p.root.Close()
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
	case found.Size() > maxSize:
		return rota.WithRemedies(fmt.Errorf("%s has %d bytes: too large for a credentials file", p.config.Path, found.Size()), rota.Outside("move it away, or use another path"))
	}
	f, err := p.root.Open(p.base)
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
	p.content, err = io.ReadAll(io.LimitReader(f, maxSize+1))
	return err
}

// inOrder reports whether the file exists with the right mode and owner.
func (p *place) inOrder() bool {
	return p.found != nil && p.found.Mode().Perm() == p.config.Mode && p.owner.has(p.found)
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
	if err := p.root.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
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
	// The owner before the mode, and both before the first byte, so that it's
	// never readable to anyone who can't read the final file. Changing the
	// owner may clear mode bits.
	if err := p.owner.give(f); err != nil {
		return fmt.Errorf("change the owner to %s: %w", p.owner, err)
	}
	if err := f.Chmod(p.config.Mode); err != nil {
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
