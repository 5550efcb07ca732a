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
	"strconv"

	"github.com/rota-dev/rota"
)

// perm is the mode that the file gets; see provider/file, which does the same.
func (p place) perm(f *found) fs.FileMode {
	const newMode, widest = 0o600, 0o770
	if f.exists && p.keepMode {
		return f.perm
	}
	if !f.exists || p.mode != 0 && !p.owned(f) {
		return cmp.Or(p.mode, newMode)
	}
	return f.perm & cmp.Or(p.mode, widest)
}

// owned reports whether the file already belongs to whom the configuration names.
func (p place) owned(f *found) bool {
	is := func(wanted, id, name string) bool { return wanted == "" || wanted == id || wanted == name }
	return f.exists && is(p.owner, f.uid, f.user) && is(p.group, f.gid, f.groupName)
}

// chown is what chown is told, "" for nothing: the file keeps whom it belongs to.
func (p place) chown(f *found) string {
	owner, group := p.owner, p.group
	if f.exists {
		owner, group = cmp.Or(owner, f.uid), cmp.Or(group, f.gid)
	}
	if owner == "" && group == "" {
		return ""
	}
	if group == "" {
		return owner
	}
	return owner + ":" + group
}

// inOrder reports whether a content is what the file has, with the right mode and
// owner.
func (p place) inOrder(f *found, content []byte) bool {
	if !f.exists {
		return p.keepMode && len(content) == 0 // nobody made it, and nobody needs it
	}
	return bytes.Equal(f.content, content) && f.perm == p.perm(f) && p.owned(f)
}

// write replaces the file, or only rehearses that, with zeros.
func (p place) write(ctx context.Context, n *node, f *found, content []byte, rehearse bool) error {
	ctx, cancel := n.c.limited(ctx)
	defer cancel()
	was, what, dry := "none", "replace ", ""
	if f.exists {
		was = checksum(f.content)
	}
	if rehearse {
		what, dry, content = "rehearse ", "yes", make([]byte, len(content))
	}
	_, err := n.run(ctx, script{op: what + strconv.Quote(p.path), as: p.as, text: writeScript, input: content, vars: []variable{
		{"home", p.home}, {"path", p.path}, {"was", was}, {"sum", checksum(content)}, {"mode", fmt.Sprintf("%o", p.perm(f))}, {"owner", p.chown(f)}, {"rehearse", dry},
	}})
	return p.explain(err)
}

// change reads the file, has it changed and replaces it if that changes anything.
func (p place) change(ctx context.Context, n *node, edit func(*found) ([]byte, error)) error {
	unlock, err := n.lock(ctx, p.path)
	if err != nil {
		return err
	}
	defer unlock()
	for range tries {
		f, readErr := p.read(ctx, n)
		if readErr != nil {
			return readErr
		}
		content, editErr := edit(f)
		if editErr != nil {
			return fmt.Errorf("%s: %w", p.shown(), editErr)
		}
		if p.inOrder(f, content) {
			return nil
		}
		if err = p.write(ctx, n, f, content, false); !errors.Is(err, errChanged) {
			return err
		}
	}
	return err
}

// explain turns the scripts' exit codes into words.
func (p place) explain(err error) error {
	exit, ok := errors.AsType[*exitError](err)
	if !ok {
		return err
	}
	say := func(remedy, format string, args ...any) error {
		err := fmt.Errorf(format, args...)
		return rota.WithRemedies(err, rota.Outside(remedy))
	}
	dir := path.Dir(p.shown())
	switch exit.status {
	case 10:
		return say("create the folder on the host, for the user who writes to it", "the folder %s does not exist, or can't be seen", dir)
	case 22:
		return say("create user "+p.home+" on the host, with a home folder", "user %s has no home folder on the host, or it can't be entered", p.home)
	case 13:
		to := ""
		if exit.said != "" {
			to = path.Join(exit.said, path.Base(p.path))
		}
		return rota.WithRemedies(fmt.Errorf("a symbolic link is on the way to %s, and isn't followed", p.shown()), p.instead(to))
	case 16:
		return errCutOff
	case 17:
		return errChanged
	case 19:
		return say("wait until process "+exit.said+" on the host ends, or remove ."+path.Base(p.path)+".rota-lock next to the file", "another process on the host is replacing %s", p.shown())
	case 20:
		return say("install getfacl and setfacl on the host, or remove the file's access control list", "%s has an access control list that can't be carried over", p.shown())
	case 23:
		return say("chattr -i -a "+cmp.Or(exit.said, p.shown())+" on the host, unless it's meant to stay as it is", "%s has the attribute i or a, so that it can't be replaced", cmp.Or(exit.said, p.shown()))
	case 18:
		if p.keepMode {
			return say("have the user who edits it own the file, or move it to a folder of root's that sshd reads (AuthorizedKeysFile), and name it in path and root in run_as",
				"keep the owner and mode of %s: %s", p.shown(), exit.Error())
		}
		return say("log in as root or name it in run_as, or leave out owner and group", "change owner or mode of %s: %s", p.shown(), exit.Error())
	case 11, 12:
		return say("log in as the file's owner, or name them in run_as", "%s can't be read: %s", p.shown(), exit.Error())
	}
	return err
}
