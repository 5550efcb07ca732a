package ssh

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/fileformat"
)

var (
	//go:embed read.sh
	readScript string
	//go:embed write.sh
	writeScript string
)

// place is where a file is, or will be, on every host of a connection.
type place struct {
	path string
	home string // the user below whose home folder the path begins; "" for /
	as   string // the user to work as, through sudo; "" for the login's
	// keepMode keeps an existing file's mode, whatever that grants.
	keepMode bool
	// mode, owner and group are those of the configuration, as in provider/file.
	mode         fs.FileMode
	owner, group string
}

// checkPath refuses paths that scripts can't have.
func checkPath(p string) error {
	switch {
	case p == "" || !path.IsAbs(p) || strings.HasSuffix(p, "/") || path.Clean(p) != p:
		return rota.WithRemedies(fmt.Errorf("path %q is not the absolute path of a file", p), rota.Configure("path", "/etc/app/credentials.env"))
	case strings.ContainsFunc(p, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return rota.WithRemedies(errors.New("the path has control characters"), rota.Configure("path", "/etc/app/credentials.env"))
	}
	return nil
}

// shown is the path as people write it.
func (p place) shown() string {
	if p.home == "" {
		return p.path
	}
	return "~" + p.home + "/" + p.path
}

// instead names another path. Below a home folder it's the user's own, so that they
// have to go on editing the file.
func (p place) instead(to string) []rota.Remedy {
	to = cmp.Or(to, "the file that it leads to")
	if p.home != "" {
		to += ", with run_as: " + p.home
	}
	return rota.Configure("path", to)
}

// found is what is at a place.
type found struct {
	exists  bool
	content []byte
	perm    fs.FileMode
	uid     string
	gid     string
	// user and groups are the owner's names, where ls has them.
	user, groupName string
}

// errChanged: somebody else has changed the file since it was read.
var errChanged = errors.New("somebody else changed the file while it was replaced")

// tries is how often a file is read again that others change at the same time.
const tries = 3

// read looks at the place, and again if the file was replaced meanwhile. It refuses
// one that a stranger may have prepared.
func (p place) read(ctx context.Context, n *node) (f *found, err error) {
	for range tries {
		if f, err = p.look(ctx, n); !errors.Is(err, errChanged) {
			return f, err
		}
	}
	return nil, err
}

func (p place) look(ctx context.Context, n *node) (*found, error) {
	ctx, cancel := n.c.limited(ctx)
	defer cancel()
	out, err := n.run(ctx, script{op: "read " + strconv.Quote(p.path), as: p.as, text: readScript, vars: []variable{
		{"home", p.home}, {"path", p.path}, {"max", strconv.Itoa(fileformat.MaxSize)},
	}})
	if err != nil {
		return nil, p.explain(err)
	}
	return p.parse(out)
}

// parse reads what the script printed.
func (p place) parse(out []byte) (*found, error) {
	f := &found{}
	var me, dir string
	var folders []entry
	for {
		line, rest, whole := bytes.Cut(out, []byte("\n"))
		key, value, _ := strings.Cut(string(line), " ")
		if !whole && key != "content" {
			return nil, errCutOff
		}
		out = rest
		switch key {
		case "uid":
			me = value
		case "at":
			dir = value
		case "folder":
			e, err := readEntry(value)
			if err != nil {
				return nil, err
			}
			folders = append(folders, e)
		case "kind":
			var to string
			value, to, _ = strings.Cut(value, " ")
			switch value {
			case "link":
				return nil, rota.WithRemedies(fmt.Errorf("%s is a symbolic link, which is not followed", p.shown()), p.instead(to))
			case "other":
				return nil, rota.WithRemedies(fmt.Errorf("%s is not a regular file", p.shown()), rota.Outside("the path of a file, or of one that doesn't exist yet"))
			}
			f.exists = value == "file"
		case "file":
			e, err := readEntry(value)
			if err != nil {
				return nil, err
			}
			f.perm, f.uid, f.gid = e.mode.Perm(), e.uid, e.gid
			if e.links > 1 {
				return nil, rota.WithRemedies(fmt.Errorf("%s is one of %d names of the same file", p.shown(), e.links), rota.Outside("remove the file's other names"))
			}
		case "names":
			if e, err := readEntry(value); err == nil {
				f.user, f.groupName = e.uid, e.gid
			}
		case "large":
			return nil, rota.WithRemedies(fmt.Errorf("%s has %s bytes: too large for a credentials file", p.shown(), value), rota.Outside("move it away, or use another path"))
		case "content":
			if size, err := strconv.Atoi(value); err != nil || size != len(out) {
				return nil, errChanged // it was written to while it was read
			}
			f.content = slices.Clone(out)
			return f, trusted(me, dir, folders)
		}
	}
}

// trusted refuses a place to which others could lead a file: one below a folder
// that others can write to, or that belongs to somebody else. Scripts name files,
// so that a folder's owner could swap them while Rota works there.
func trusted(me, dir string, folders []entry) error {
	for i, e := range folders {
		at := dir
		for range i {
			at = path.Dir(at)
		}
		switch {
		case e.uid != me && e.uid != "0":
			return rota.WithRemedies(fmt.Errorf("folder %s belongs to user %s, who could lead the file anywhere", at, e.uid),
				rota.Configure("run_as", "the user who owns "+at))
		case e.mode&0o022 != 0 && (i == 0 || !e.sticky):
			return rota.WithRemedies(fmt.Errorf("others than its owner can write to folder %s, and could lead the file anywhere", at),
				rota.Outside("chmod go-w "+at+" on the host"))
		}
	}
	return nil
}

// entry is what ls -ld says about a file or a folder.
type entry struct {
	mode     fs.FileMode
	sticky   bool
	links    int
	uid, gid string
}

func readEntry(line string) (entry, error) {
	fields := strings.Fields(line)
	if len(fields) < 5 || len(fields[0]) < 10 {
		return entry{}, errors.New("what ls prints on the host can't be read")
	}
	var e entry
	for i, letter := range fields[0][1:10] {
		if letter != '-' && letter != 'S' && letter != 'T' {
			e.mode |= 1 << (8 - i)
		}
	}
	e.sticky = fields[0][9] == 't' || fields[0][9] == 'T'
	e.links, _ = strconv.Atoi(fields[1])
	e.uid, e.gid = fields[2], fields[3]
	return e, nil
}
