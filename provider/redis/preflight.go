package redis

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Preflight implements [rota.Preflighter]. It changes nothing.
func (u *user) Preflight(ctx context.Context) []rota.Finding {
	ctx, cancel := u.conn.deadline(ctx)
	defer cancel()
	var findings []rota.Finding
	for _, n := range u.conn.nodes {
		f, err := n.info(ctx)
		login := rota.Finding{OK: true, Check: fmt.Sprintf("log in to %s as %s", n.addr, u.conn.cfg.Username)}
		if err != nil {
			findings = append(findings, provider.Failed(login.Check, u.conn.failed(ctx, login.Check, err)))
			continue
		}
		login.Detail = f.shown()
		findings = append(findings, login, n.transport())
		if copies, warned := n.copies(f); warned {
			findings = append(findings, copies)
		}
		findings = append(findings, u.account(ctx, n)...)
	}
	return append(findings, u.connections(ctx))
}

// transport reports whether anyone on the network path could read passwords.
func (n *node) transport() rota.Finding {
	f := rota.Finding{OK: true, Check: "talk to " + n.addr + " over TLS"}
	switch {
	case n.network == "unix" || !n.c.cfg.encrypted(n.network, n.addr) && loopback(n.network, n.addr):
		f.Detail = "not needed: it is on this machine"
	case n.c.cfg.encrypted(n.network, n.addr):
		f.Detail = "the server's certificate is checked"
	default:
		f.OK, f.Warning = false, true
		f.Detail, f.Remedies = "not encrypted: anyone on the network can read passwords as Rota logs in", rota.Outside("tls: true, and the server's tls-port")
	}
	return f
}

// copies warns of servers that have users of their own and aren't listed.
func (n *node) copies(f facts) (rota.Finding, bool) {
	check := "reach every server that has the user"
	replicas, _ := strconv.Atoi(f["connected_slaves"])
	listed := len(n.c.nodes)
	switch {
	case f["cluster_enabled"] == "1" && listed == 1:
		return rota.Finding{Warning: true, Check: check, Detail: "it's a node of a cluster, and the only one in addresses: the others have users of their own", Remedies: rota.Outside("all nodes of the cluster in addresses")}, true
	case replicas >= listed:
		return rota.Finding{Warning: true, Check: check, Detail: fmt.Sprintf("%s has %d replicas, and addresses lists %d servers: replicas have users of their own, which a failover would put in force", n.addr, replicas, listed),
			Remedies: rota.Outside("the replicas in addresses, too")}, true
	}
	return rota.Finding{}, false
}

// account checks the user at one server, and that Rota may change it.
func (u *user) account(ctx context.Context, n *node) []rota.Finding {
	find := rota.Finding{OK: true, Check: n.at("find user " + u.name)}
	a, err := n.account(ctx, u.name)
	if err != nil {
		return []rota.Finding{provider.Failed(find.Check, u.conn.failed(ctx, find.Check, err))}
	}
	if err := u.usable(find.Check, a); err != nil {
		return []rota.Finding{provider.Failed(find.Check, err)}
	}
	find.Detail = fmt.Sprintf("it is on and has %d passwords", len(a.hashes))
	if len(a.hashes) == 1 {
		find.Detail = "it is on and has 1 password"
	}
	may := rota.Finding{OK: true, Check: n.at("may set passwords of user " + u.name)}
	// To remove a password that the user doesn't have is refused to whoever may
	// remove one, and changes nothing.
	none := strings.Repeat("0", len(hashOf("")))
	if err := n.client.Do(ctx, "acl", "setuser", u.name, "!"+none).Err(); err != nil && !removed(err) {
		may = provider.Failed(may.Check, u.conn.failed(ctx, may.Check, err))
	}
	keep := rota.Finding{OK: true, Check: n.at("keep passwords across a restart")}
	persist, err := n.persistence(ctx)
	keep.Detail = persist.describe()
	switch {
	case err != nil:
		keep = provider.Failed(keep.Check, u.conn.failed(ctx, keep.Check, err))
	case persist == PersistNone:
		keep.OK, keep.Warning = false, true
	default:
		if err := n.dryRun(ctx, persist.command()); err != nil {
			keep = provider.Failed(keep.Check, u.conn.failed(ctx, keep.Check, err))
		}
	}
	return []rota.Finding{find, may, keep}
}

// errDenied means that Rota's user may not run a command.
type errDenied struct{ user, command string }

func (e *errDenied) Error() string { return fmt.Sprintf("user %s may not run %s", e.user, e.command) }

// dryRun asks whether Rota's own user may run a command, without running it. Redis
// 6 can't say, and neither can a server that doesn't let Rota ask: that's no error.
func (n *node) dryRun(ctx context.Context, command []any) error {
	said, err := n.client.Do(ctx, append([]any{"acl", "dryrun", n.c.cfg.Username}, command...)...).Text()
	if err != nil || said == "OK" {
		return nil //nolint:nilerr // it can't say
	}
	name := fmt.Sprintf("%s|%s", command[0], command[1])
	return n.c.stop("run "+name, &errDenied{n.c.cfg.Username, name}, rota.Outside("ACL SETUSER "+n.c.cfg.Username+" +"+name))
}

// connections checks that Rota sees who is connected.
func (u *user) connections(ctx context.Context) rota.Finding {
	f := rota.Finding{OK: true, Check: "see connections of user " + u.name}
	err := u.conn.each(ctx, func(ctx context.Context, n *node) error {
		if err := ctx.Err(); err != nil {
			return u.conn.failed(ctx, n.at(f.Check), err)
		}
		return u.conn.failed(ctx, n.at(f.Check), n.client.Do(ctx, "client", "list").Err())
	})
	if err != nil {
		return provider.Failed(f.Check, err)
	}
	return f
}
