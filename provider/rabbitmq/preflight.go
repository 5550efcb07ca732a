package rabbitmq

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Preflight checks that Rota can log in and may change users. It changes nothing.
func (c *Connection) Preflight(ctx context.Context) []rota.Finding {
	login := rota.Finding{OK: true, Check: fmt.Sprintf("log in to %s as %s", c.system(), c.cfg.Username)}
	var overview struct {
		Version string `json:"rabbitmq_version"`
	}
	if err := c.get(ctx, login.Check, "/overview?columns=rabbitmq_version", &overview); err != nil {
		return []rota.Finding{provider.Failed(login.Check, err)}
	}
	login.Detail = "RabbitMQ " + overview.Version
	change := rota.Finding{OK: true, Check: "user " + c.cfg.Username + " may change other users"}
	var own account
	if err := c.get(ctx, change.Check, "/whoami", &own); err != nil {
		change = provider.Failed(change.Check, err)
	} else if !slices.Contains(own.tags(), "administrator") {
		change = rota.Finding{Check: change.Check, Detail: "it doesn't have the tag administrator", Remedies: rota.Outside("rabbitmqctl set_user_tags " + shell(c.cfg.Username) + " administrator")}
	}
	return []rota.Finding{login, c.transport(), change}
}

// transport reports whether anyone on the network path could read a new password.
func (c *Connection) transport() rota.Finding {
	f := rota.Finding{OK: true, Check: "test passwords over TLS", Detail: "the server's certificate is checked"}
	switch {
	case c.amqp == nil:
		f.Detail = "over the management API"
	case c.amqp.Scheme == "amqps":
	case provider.Loopback(c.amqp.Hostname()):
		f.Detail = "not needed: it is on this machine"
	default:
		f = rota.Finding{Warning: true, Check: f.Check, Detail: "not encrypted: a login over AMQP shows the password to anyone on the network path", Remedies: rota.Configure("amqp", "amqps://"+c.amqp.Hostname())}
	}
	return f
}

// Preflight checks that the user's password can be changed and tested. It changes
// nothing; the user sees one rejected login.
func (s *single) Preflight(ctx context.Context) []rota.Finding {
	findings, _ := s.preflight(ctx)
	return findings
}

// preflight checks what both ways of rotating need, and returns the users that exist.
func (u *users) preflight(ctx context.Context) ([]rota.Finding, []account) {
	findings := u.conn.Preflight(ctx)
	if len(findings) == 1 {
		return findings, nil
	}
	findings = append(findings, u.sees(ctx))
	var exist []account
	for _, name := range u.names {
		check := "find user " + name
		a, err := u.read(ctx, check, name)
		switch {
		case errors.Is(err, rota.ErrNotFound):
			findings = append(findings, rota.Finding{Check: check, Detail: "it does not exist",
				Remedies: rota.Outside("the user's new name in rota.yaml, if it was renamed; or else rabbitmqctl add_user " + shell(name) + ", with the permissions its consumers need")})
			continue
		case err != nil:
			findings = append(findings, provider.Failed(check, err))
			continue
		}
		exist = append(exist, a)
		findings = append(findings, rota.Finding{OK: true, Check: check}, u.asked(ctx, a))
		if u.vhost != "" {
			findings = append(findings, u.opens(ctx, name))
		}
	}
	return findings, exist
}

// opens checks that a login with the right password would open the virtual host: the
// test of a new one has to, and by then the old one has ended.
func (u *users) opens(ctx context.Context, name string) rota.Finding {
	f := rota.Finding{OK: true, Check: "user " + name + " may open vhost " + u.vhost}
	var found struct{}
	if err := u.conn.get(ctx, f.Check, path("vhosts", u.vhost), &found); errors.Is(err, rota.ErrNotFound) {
		return rota.Finding{Check: f.Check, Detail: "there's no such vhost", Remedies: rota.Outside(add(u.vhost))}
	} else if err != nil {
		return provider.Failed(f.Check, err)
	}
	var all []struct{ VHost string }
	if err := u.conn.get(ctx, f.Check, path("users", name, "permissions"), &all); err != nil {
		return provider.Failed(f.Check, err)
	}
	if !slices.ContainsFunc(all, func(p struct{ VHost string }) bool { return p.VHost == u.vhost }) {
		return rota.Finding{Warning: true, Check: f.Check, Detail: "it has no permissions there, unless RabbitMQ asks another backend for them", Remedies: rota.Outside(permit(u.vhost, name))}
	}
	return f
}

// add is how a virtual host comes to be.
func add(vhost string) string {
	return "rabbitmqctl add_vhost " + shell(vhost) + ", with the permissions its users need; or another vhost in rota.yaml"
}

// permit is how a user may open a virtual host.
func permit(vhost, user string) string {
	return fmt.Sprintf("rabbitmqctl set_permissions -p %s %s, with what its consumers need; or another vhost in rota.yaml", shell(vhost), shell(user))
}

// sees checks that all connections can be seen.
func (u *users) sees(ctx context.Context) rota.Finding {
	f := rota.Finding{OK: true, Check: "see connections of user " + u.names[0]}
	use, err := u.LastUsed(ctx, u.names[0])
	if err != nil {
		f = provider.Failed(f.Check, err)
		f.Detail += ", so nothing is retired unless a person asks"
		f.Warning = true
	} else if use.Remedies != nil {
		f = rota.Finding{Warning: true, Check: f.Check, Detail: "a part of the cluster can't be seen, so nothing is retired unless a person asks", Remedies: use.Remedies}
	}
	return f
}

// asked tries to log in with a random password: RabbitMQ must reject it because of
// the password, or testing the right one would prove nothing.
func (u *users) asked(ctx context.Context, a account) rota.Finding {
	f := rota.Finding{Check: "RabbitMQ asks user " + a.Name + " for its password"}
	if u.conn.amqp == nil && !slices.ContainsFunc(a.tags(), func(tag string) bool {
		return slices.Contains([]string{"administrator", "monitoring", "policymaker", "management"}, tag)
	}) {
		f.Detail = "it may not log in to the management API, and the connection has no amqp address, so no new password could be tested"
		f.Remedies = rota.Configure("amqp", "amqp: amqps://mq.internal for connection "+u.conn.name)
		return f
	}
	err := u.login(ctx, f.Check, rota.NewCredential(map[string]string{rota.FieldUsername: a.Name, rota.FieldPassword: rand.Text()}))
	switch {
	case errors.Is(err, rota.ErrRefused):
		f.OK, f.Detail = true, "it rejects a wrong one"
	case err == nil:
		f.Detail, f.Remedies = "it accepts any password, so a login proves nothing", rota.Outside("an auth_backends in rabbitmq.conf that checks passwords")
	default:
		return provider.Failed(f.Check, err)
	}
	return f
}

// Preflight checks that both users' passwords can be changed and tested, and that
// consumers have the same rights with either. It changes nothing; each user sees one
// rejected login.
func (a *alternating) Preflight(ctx context.Context) []rota.Finding {
	findings, exist := a.preflight(ctx)
	if len(exist) == len(a.names) {
		findings = append(findings, a.sameRights(ctx), a.oneFree(exist))
	}
	return findings
}

// sameRights compares all that the two have, as the test before a promotion does.
func (a *alternating) sameRights(ctx context.Context) rota.Finding {
	f := rota.Finding{Check: "users " + a.names[0] + " and " + a.names[1] + " have the same rights"}
	secondOnly, firstOnly, err := a.compare(ctx, f.Check, a.names[0], a.names[1])
	if err != nil {
		return provider.Failed(f.Check, err)
	}
	var differences []string
	for i, only := range [][]string{firstOnly, secondOnly} {
		if len(only) > 0 {
			differences = append(differences, "only "+a.names[i]+": "+list(only))
		}
	}
	f.OK, f.Detail = len(differences) == 0, strings.Join(differences, "; ")
	if !f.OK {
		f.Remedies = rota.Outside(level)
	}
	return f
}

// oneFree reports when both users have a password: then something may be using
// either, and no rotation starts.
func (a *alternating) oneFree(both []account) rota.Finding {
	f := rota.Finding{OK: true, Check: "one of users " + a.names[0] + " and " + a.names[1] + " is free for the next password"}
	if both[0].Hash == "" || both[1].Hash == "" {
		return f
	}
	return rota.Finding{Warning: true, Check: f.Check,
		Detail:   "both have a password. That's fine while the previous credential awaits retirement. Otherwise someone else set one of them, and Rota won't use either user for the next one",
		Remedies: rota.Outside("if no previous credential awaits retirement, and nobody uses the user that isn't current: rabbitmqctl clear_password for that user")}
}
