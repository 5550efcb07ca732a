package file

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"

	"github.com/rota-dev/rota"
)

// Preflight reports whether Deliver could write the file. It changes nothing.
func (t *target) Preflight(ctx context.Context) []rota.Finding {
	write := rota.Finding{Check: "write " + t.config.Path}
	failed := func(f rota.Finding, err error, otherwise string) rota.Finding {
		f.Detail, f.Remedies = err.Error(), rota.RemediesOf(err)
		if text := cmp.Or(hint(err), otherwise); len(f.Remedies) == 0 {
			f.Remedies = rota.Outside(text)
		}
		return f
	}
	p, err := openPlace(ctx, t.config)
	if err != nil {
		return []rota.Finding{failed(write, err, "correct the target's path, owner and group")}
	}
	defer p.close()
	if err := writable(filepath.Dir(t.config.Path)); err != nil {
		return []rota.Finding{failed(write, err, "")}
	}
	write.OK, write.Detail = true, "a new file"
	if p.found != nil {
		write.Detail = fmt.Sprintf("replaces a file of %d bytes, mode %#o", len(p.content), p.found.Mode().Perm())
	}
	findings := []rota.Finding{write}

	if p.owner.uid >= 0 || p.owner.gid >= 0 {
		give := rota.Finding{OK: true, Check: "give " + t.config.Path + " to " + p.owner.String()}
		if !mayGive(p.owner) {
			give.OK, give.Detail = false, "this user may not change the owner of files"
			give.Remedies = rota.Outside("run Rota as the file's owner or as root, or leave out owner and group")
		}
		findings = append(findings, give)
	}
	if p.found != nil {
		keep := rota.Finding{OK: true, Check: "keep what else is in " + t.config.Path}
		if _, err := t.format(p.content, nil); err != nil {
			keep.OK = false
			keep = failed(keep, err, "correct the file, or move it away")
		}
		findings = append(findings, keep)
	}
	return findings
}
