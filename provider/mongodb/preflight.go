package mongodb

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// privilege is something that a user may do, as connectionStatus shows it.
type privilege struct {
	Resource struct {
		DB         string `bson:"db"`
		Collection string `bson:"collection"`
		Cluster    bool   `bson:"cluster"`
		Any        bool   `bson:"anyResource"`
	} `bson:"resource"`
	Actions []string `bson:"actions"`
}

// allows reports whether an action is allowed on a database, or on the cluster if the
// database is "".
func (p privilege) allows(action, database string) bool {
	r := p.Resource
	on := r.Any || database == "" && r.Cluster || database != "" && !r.Cluster && r.Collection == "" && (r.DB == "" || r.DB == database)
	return on && (slices.Contains(p.Actions, action) || slices.Contains(p.Actions, "anyAction"))
}

// Preflight checks that the user's password can be changed and tested. It changes
// nothing; the user sees one rejected login.
func (s *single) Preflight(ctx context.Context) []rota.Finding {
	findings, _ := s.preflight(ctx, s.needs())
	return findings
}

// Preflight checks that both users' passwords can be changed and tested, and that
// consumers have the same rights with either. It changes nothing; each user sees one
// rejected login.
func (a *alternating) Preflight(ctx context.Context) []rota.Finding {
	findings, exist := a.preflight(ctx, a.needs())
	if len(exist) == len(a.names) {
		findings = append(findings, a.sameRights(ctx), a.oneFree(exist))
	}
	return findings
}

// preflight checks what both ways of rotating need, and returns the users that exist.
func (u *users) preflight(ctx context.Context, needs []provider.Permission) ([]rota.Finding, []account) {
	c := u.conn
	login := fmt.Sprintf("log in to %s as %s@%s", c.system(), c.cfg.Username, c.cfg.AuthSource)
	var status struct {
		Info struct {
			Privileges *[]privilege `bson:"authenticatedUserPrivileges"`
		} `bson:"authInfo"`
	}
	if err := c.run(ctx, login, defaultSource, bson.D{{Key: "connectionStatus", Value: 1}, {Key: "showPrivileges", Value: true}}, &status); err != nil {
		return []rota.Finding{provider.Failed(login, err)}, nil
	}
	findings := []rota.Finding{{OK: true, Check: login}, c.transport(), c.guarded(ctx)}
	if status.Info.Privileges != nil {
		findings = append(findings, c.may(needs, *status.Info.Privileges)...)
	}
	findings = append(findings, u.sees(ctx))
	var exist []account
	for _, name := range u.names {
		check := "find user " + u.at(name)
		a, err := u.read(ctx, check, name)
		switch {
		case errors.Is(err, rota.ErrNotFound):
			findings = append(findings, rota.Finding{Check: check, Detail: "it does not exist", Remedies: rota.RemediesOf(err)})
			continue
		case err != nil:
			findings = append(findings, provider.Failed(check, err))
			continue
		}
		exist = append(exist, a)
		f := rota.Finding{OK: true, Check: check}
		if why := a.unsettable(); why != "" {
			f = rota.Finding{Check: check, Detail: why, Remedies: rota.Outside("a user with the mechanism SCRAM-SHA-256")}
		} else if len(u.names) > 1 && a.taken() {
			f = rota.Finding{Check: check, Detail: errTaken.Error(), Remedies: rota.Outside(renameTaken)}
		}
		findings = append(findings, f, u.asked(ctx, a))
	}
	return findings, exist
}

// transport reports what protects a new password on its way.
func (c *Connection) transport() rota.Finding {
	f := rota.Finding{OK: true, Check: "send passwords over TLS", Detail: "the server's certificate is checked"}
	if !c.cfg.encrypted() {
		f.Detail = "connections stay on this machine"
	}
	return f
}

// guarded checks that the server asks who anybody is.
func (c *Connection) guarded(ctx context.Context) rota.Finding {
	f := rota.Finding{OK: true, Check: "MongoDB has access control", Detail: "it rejects commands before a login"}
	ctx, cancel := c.deadline(ctx)
	defer cancel()
	s, err := c.connect(ctx, nil, "", 1)
	if err != nil {
		return provider.Failed(f.Check, c.failed(ctx, f.Check, err, nil))
	}
	defer s.close()
	err = s.run(ctx, c.cfg, defaultSource, bson.D{{Key: "usersInfo", Value: 1}}, nil)
	switch {
	case code(err) != 0:
		return f
	case err != nil:
		return provider.Failed(f.Check, c.failed(ctx, f.Check, err, s))
	}
	return provider.Warned(f.Check, "whoever reaches it may do anything, without any password", "security.authorization: enabled at the server")
}

// may compares what Rota needs with what its user is granted.
func (c *Connection) may(needs []provider.Permission, granted []privilege) []rota.Finding {
	var findings []rota.Finding
	for _, need := range needs {
		database := need.Detail.(grant).Database
		f := rota.Finding{OK: true, Check: fmt.Sprintf("user %s may %s on %s", c.cfg.Username, need.Action, need.Resource)}
		if !slices.ContainsFunc(granted, func(p privilege) bool { return p.allows(need.Action, database) }) {
			f.OK, f.Warning = false, need.For == provider.OccasionOption
			f.Detail, f.Remedies = "it may not: Rota "+need.Why, append(rota.Outside("give it the role that this prints, as a user administrator"), rota.Command("rota policy mongodb")...)
		}
		findings = append(findings, f)
	}
	return findings
}

// sees checks that all connections can be seen.
func (u *users) sees(ctx context.Context) rota.Finding {
	f := rota.Finding{OK: true, Check: "see connections of user " + u.at(u.names[0])}
	use, err := u.LastUsed(ctx, u.names[0])
	if err != nil {
		f = provider.Failed(f.Check, err)
		f.Detail += ", so nothing is retired unless a person asks"
		f.Warning = true
	} else if use.Remedies != nil {
		f = rota.Finding{Warning: true, Check: f.Check, Detail: "those of other mongos can't be seen, so nothing is retired unless a person asks", Remedies: use.Remedies}
	}
	return f
}

// asked tries to log in with a random password: MongoDB must reject it, or testing the
// right one would prove nothing.
func (u *users) asked(ctx context.Context, a account) rota.Finding {
	f := rota.Finding{Check: "MongoDB asks user " + a.String() + " for its password"}
	err := u.login(ctx, f.Check, rota.NewCredential(map[string]string{rota.FieldUsername: a.User, rota.FieldPassword: rand.Text()}))
	switch {
	case errors.Is(err, rota.ErrRefused):
		f.OK, f.Detail = true, "it rejects a wrong one"
	case err == nil:
		f.Detail, f.Remedies = "it accepts any password, so a login proves nothing", rota.Outside("a server that checks passwords")
	default:
		return provider.Failed(f.Check, err)
	}
	return f
}

// sameRights compares all that the two have, as the test before a promotion does.
func (a *alternating) sameRights(ctx context.Context) rota.Finding {
	f := rota.Finding{Check: "users " + a.names[0] + " and " + a.names[1] + " have the same rights"}
	firstLacks, secondLacks, err := a.compare(ctx, f.Check, a.names[0], a.names[1])
	if err != nil {
		return provider.Failed(f.Check, err)
	}
	var differences []string
	for i, only := range [][]string{secondLacks, firstLacks} {
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
	check := "one of users " + a.names[0] + " and " + a.names[1] + " is free for the next password"
	if both[0].isFree() || both[1].isFree() {
		return rota.Finding{OK: true, Check: check}
	}
	return provider.Warned(check,
		"both have a password that somebody may know. That's fine while the previous credential awaits retirement. Otherwise Rota won't use either user for the next one",
		fmt.Sprintf("if no previous credential awaits retirement, and nobody uses the user that isn't current: db.getSiblingDB(%q).updateUser(USER, {customData: {rota: \"free\"}}), with its other fields of customData, which that replaces", a.source))
}
