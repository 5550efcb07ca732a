package ssh

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/crypto/ssh"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Preflight implements [rota.Preflighter]. It changes nothing.
func (k *keys) Preflight(ctx context.Context) []rota.Finding {
	return k.c.findings(ctx, func(ctx context.Context, n *node) []rota.Finding {
		login := n.reachable(ctx, k.place.as)
		if !login.OK {
			return []rota.Finding{login}
		}
		edit := rota.Finding{OK: true, Check: n.at("edit the keys of " + k.cfg.User)}
		fail := func(err error) []rota.Finding {
			return []rota.Finding{login, provider.Failed(edit.Check, k.c.failed(ctx, edit.Check, err))}
		}
		f, err := k.place.read(ctx, n)
		if err != nil {
			return fail(err)
		}
		lines, own := readKeys(f.content), 0
		for _, l := range lines {
			if l.marked(k.cfg.Name) {
				own++
			}
		}
		edit.Detail = fmt.Sprintf("the file has %d lines, %d of them Rota's", len(lines), own)
		if err := k.place.write(ctx, n, f, f.content, true); err != nil {
			return fail(err)
		}
		return append([]rota.Finding{login, edit, n.asks(ctx, k.cfg.User)}, k.isRead(ctx, n, lines)...)
	})
}

// isRead makes sure that the host lets in a key of the file, if it has one that no
// option restricts: sshd may read other files.
func (k *keys) isRead(ctx context.Context, n *node, lines []keyLine) []rota.Finding {
	const most = 3 // a host counts them (MaxAuthTries)
	var some []ssh.PublicKey
	for _, l := range slices.Backward(lines) { // Rota's own, and new ones, are at the end
		if l.key != nil && !l.off && l.options == "" && len(some) < most {
			some = append(some, l.key)
		}
	}
	if len(some) == 0 {
		return nil
	}
	f := rota.Finding{OK: true, Check: n.at("the host accepts the keys in " + k.place.shown())}
	in, err := n.accepts(ctx, k.cfg.User, some...)
	switch {
	case err != nil:
		return []rota.Finding{provider.Failed(f.Check, k.c.failed(ctx, f.Check, err))}
	case len(in) == 0:
		f.OK, f.Warning = false, true
		f.Detail, f.Remedies = "it refuses the last ones of them, so a new one may not log in either", rota.Outside(k.whyRefused())
	}
	return []rota.Finding{f}
}

// asks tries to log in with a key that nobody has: the host must ask for keys and
// refuse it, or testing the right one would prove nothing.
func (n *node) asks(ctx context.Context, user string) rota.Finding {
	f := rota.Finding{Check: n.at("the host asks " + user + " for a key")}
	stranger, err := generate(AlgorithmEd25519)
	if err != nil {
		return provider.Failed(f.Check, err)
	}
	signer, err := ssh.NewSignerFromKey(stranger)
	if err != nil {
		return provider.Failed(f.Check, err)
	}
	client, err := n.c.connect(ctx, n.addr, login{user: user, signers: []ssh.Signer{signer}})
	switch {
	case err == nil:
		_ = client.Close()
		f.Detail, f.Remedies = "it lets in any key, so a login proves nothing", rota.Outside("PermitEmptyPasswords no in the host's sshd_config")
	case rejected(err) && (tried(err, "publickey") || tooMany(err)):
		f.OK, f.Detail = true, "it refuses one that it doesn't know"
	case rejected(err):
		f.Detail, f.Remedies = "it takes no keys for this user", rota.Outside("PubkeyAuthentication yes and "+user+" among AllowUsers in the host's sshd_config")
	default:
		return provider.Failed(f.Check, n.c.failed(ctx, f.Check, err))
	}
	return f
}
