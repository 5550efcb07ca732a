package ssh

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"strconv"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Preflight implements [rota.Preflighter]. It changes nothing; the hosts see one
// rejected login each.
func (p *password) Preflight(ctx context.Context) []rota.Finding {
	return p.c.findings(ctx, func(ctx context.Context, n *node) []rota.Finding {
		login := n.reachable(ctx, "")
		if !login.OK {
			return []rota.Finding{login}
		}
		look := func(check, text, remedy string) rota.Finding {
			ctx, cancel := n.c.limited(ctx)
			defer cancel()
			f := rota.Finding{OK: true, Check: n.at(check)}
			if _, err := n.run(ctx, script{op: "look", text: sbin + text + " </dev/null >/dev/null"}); err != nil {
				err = p.c.failed(ctx, f.Check, err)
				f = provider.Failed(f.Check, err)
				if len(f.Remedies) == 0 {
					f.Remedies = rota.Outside(remedy)
				}
			}
			return f
		}
		exists := look("find user "+p.cfg.User, "id -u "+p.cfg.User, "create the user on the host, or correct its name")
		// Without input, it sets none. sudo -l would also allow what needs a password.
		set := look("may set passwords", p.asRoot("chpasswd -e"), "in sudoers: "+p.c.cfg.User+" ALL=("+cmp.Or(p.as, "root")+") NOPASSWD: /usr/sbin/chpasswd -e")
		return []rota.Finding{login, exists, set, p.open(ctx, n), p.asked(ctx, n)}
	})
}

// open looks whether somebody has locked the account, or it has expired.
func (p *password) open(ctx context.Context, n *node) rota.Finding {
	f := rota.Finding{OK: true, Check: n.at("the account of user " + p.cfg.User + " is neither locked nor expired")}
	ctx, cancel := n.c.limited(ctx)
	defer cancel()
	out, err := n.run(ctx, script{op: "look", text: p.entry() + refuseLocked +
		"printf '%s\\n' \"${entry:+seen}\" \"$(($(date +%s) / 86400))\" \"$(printf %s \"$entry\" | cut -d: -f8)\""})
	if exit, ok := errors.AsType[*exitError](err); ok && exit.status == statusLocked {
		return rota.Finding{Check: f.Check, Detail: p.locked().Error(), Remedies: rota.Outside(p.unlock())}
	}
	if err != nil {
		return provider.Failed(f.Check, p.c.failed(ctx, f.Check, err))
	}
	lines := strings.Split(string(out), "\n")
	if len(lines) < 3 || lines[0] == "" {
		f.Detail = "not known, as sudo doesn't let " + p.c.cfg.User + " run getent shadow " + p.cfg.User
		return f
	}
	today, todayErr := strconv.Atoi(lines[1])
	ends, endsErr := strconv.Atoi(lines[2])
	if todayErr == nil && endsErr == nil && ends >= 0 && today >= ends {
		f.OK, f.Detail = false, "it has expired, so that no password logs in"
		f.Remedies = rota.Outside("chage -E -1 " + p.cfg.User + " on the host, if the user is meant to log in again")
	}
	return f
}

// asked tries a random password: the host must refuse it, or testing the right one
// would prove nothing.
func (p *password) asked(ctx context.Context, n *node) rota.Finding {
	f := rota.Finding{Check: n.at("the host asks " + p.cfg.User + " for a password")}
	err := n.tryPassword(ctx, f.Check, rota.NewCredential(map[string]string{rota.FieldUsername: p.cfg.User, rota.FieldPassword: rand.Text()}))
	switch {
	case err == nil:
		f.Detail, f.Remedies = "it accepts any password, so a login proves nothing", rota.Outside("let the host's PAM check passwords")
	case errors.Is(err, rota.ErrRefused):
		f.OK, f.Detail = true, "it refuses a wrong one"
	default:
		return provider.Failed(f.Check, err)
	}
	return f
}
