package file

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/rota-dev/rota"
)

// Preflight reports whether Deliver could replace the file. It tries all of that
// but for the rename, with a file of zeros next to it, and leaves nothing behind.
func (t *target) Preflight(ctx context.Context) []rota.Finding {
	write := rota.Finding{Check: "write " + t.config.Path}
	failed := func(f rota.Finding, err error, otherwise string) rota.Finding {
		f.OK, f.Detail, f.Remedies = false, err.Error(), rota.RemediesOf(err)
		if text := cmp.Or(hint(err), otherwise); len(f.Remedies) == 0 {
			f.Remedies = rota.Outside(text)
		}
		return f
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	p, err := openPlace(ctx, t.config)
	if err != nil {
		return []rota.Finding{failed(write, err, "correct the target's path, owner and group")}
	}
	defer p.close()
	if err := writable(filepath.Dir(t.config.Path)); err != nil {
		return []rota.Finding{failed(write, err, "")}
	}
	var findings []rota.Finding
	if p.owner.uid >= 0 || p.owner.gid >= 0 {
		give := rota.Finding{OK: true, Check: "give " + t.config.Path + " to " + p.owner.String()}
		if !mayGive(p.owner) {
			give = failed(give, errors.New("this user may not change the owner of files"), "run Rota as the file's owner or as root, or leave out owner and group")
		}
		findings = append(findings, give)
	}
	merged, err := t.writer.Merge(p.content, t.writer.Sample())
	if p.found != nil || err != nil {
		keep := rota.Finding{OK: true, Check: "keep what else is in " + t.config.Path}
		if err != nil {
			keep = failed(keep, err, "correct the file, or move it away")
		}
		findings = append(findings, keep)
	}
	for _, f := range findings {
		if !f.OK {
			return findings // the whole replacement can't work
		}
	}
	write.OK, write.Detail = true, "a new file"
	if p.found != nil {
		write.Detail = fmt.Sprintf("replaces a file of %d bytes, mode %#o", len(p.content), p.found.Mode().Perm())
		switch mode, is := p.mode(), p.found.Mode().Perm(); {
		case mode != is:
			write.Detail += fmt.Sprintf(", which becomes %#o", mode)
		case p.config.Mode&^mode != 0:
			write.Detail += fmt.Sprintf(", which it keeps: chmod it to grant all of %#o", p.config.Mode)
		}
	}
	if err := p.rehearse(len(merged)); err != nil {
		write = failed(write, err, "correct what the file system says")
	}
	return append([]rota.Finding{write}, findings...)
}
