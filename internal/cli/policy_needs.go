package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/config"
	"github.com/rota-dev/rota/provider/aws"
)

const (
	// callerName stands for the identity that runs Rota, if connections assume
	// roles. No connection can have this name.
	callerName = "@caller"
	// placeTimeout limits the first request to AWS.
	placeTimeout = 15 * time.Second
)

// holderNeeds is what one identity needs.
type holderNeeds struct {
	name  string // of the connection, or callerName
	title string // for people
	needs []aws.Permission
}

// permissionHolder is what needs permissions at AWS, for a secret or, with ""
// as its name, for the server.
type permissionHolder struct {
	aws.PermissionHolder
	secret string
}

// permissionHolders are all that work over aws connections for the named secrets, or for
// all secrets and the server.
func permissionHolders(ctx context.Context, file *config.File, env config.Environment, names []string) ([]permissionHolder, error) {
	pieces, err := file.Pieces(ctx, env, aws.ConnectionKind, names)
	var holders []permissionHolder
	for _, p := range pieces {
		if h, ok := p.Made.(aws.PermissionHolder); ok {
			holders = append(holders, permissionHolder{PermissionHolder: h, secret: p.Secret})
		}
	}
	return holders, err
}

// gatherNeeds asks all roles what they need, by connection.
func (a *app) gatherNeeds(ctx context.Context, roles []permissionHolder, o policyOptions) ([]holderNeeds, error) {
	byName := map[string][]permissionHolder{}
	var names []string
	for _, r := range roles {
		name := r.Connection().Name()
		if byName[name] == nil {
			names = append(names, name)
		}
		byName[name] = append(byName[name], r)
	}
	slices.Sort(names)
	if err := known("aws connection", o.connections, names); err != nil {
		return nil, err
	}
	if len(o.connections) > 0 {
		names = slices.DeleteFunc(names, func(n string) bool { return !slices.Contains(o.connections, n) })
	}
	if len(names) == 0 {
		return nil, rota.WithRemedies(usage("nothing in %s uses an aws connection", a.configPath()), rota.Command("rota validate"))
	}
	var all []holderNeeds
	caller := holderNeeds{name: callerName, title: "the identity that runs Rota"}
	for i, name := range names {
		c := byName[name][0].Connection()
		at, err := a.placeOf(ctx, c, byName[name], o)
		if err != nil {
			return nil, err
		}
		h := holderNeeds{name: name, title: "connection " + name}
		if c.RoleARN() != "" {
			h.title += ", role " + c.RoleARN()
		}
		for _, r := range byName[name] {
			h.needs = append(h.needs, r.Permissions(ctx, at)...)
			if o.function {
				h.needs = append(h.needs, aws.FunctionPermissions(r.PermissionHolder, at)...)
			}
		}
		h.needs = chosen(append(h.needs, c.CheckPermissions()...), o)
		all = append(all, h)
		caller.needs = append(caller.needs, c.CallerPermissions()...)
		if i == 0 && o.function {
			needs, err := o.duty.Permissions(at)
			if err != nil {
				return nil, refused(err)
			}
			caller.needs = append(caller.needs, needs...)
		}
	}
	switch {
	case len(caller.needs) == 0:
	case len(all) == 1 && len(byName[names[0]][0].Connection().CallerPermissions()) == 0:
		all[0].needs = append(all[0].needs, caller.needs...) // the caller is the connection's identity
	default:
		all = slices.Insert(all, 0, caller)
	}
	return append(all, onTheWay(all)...), nil
}

// onTheWay is what intermediate roles need in a chain of roles: it moves
// there from the roles at the end.
func onTheWay(all []holderNeeds) []holderNeeds {
	var roles []holderNeeds
	for i := range all {
		all[i].needs = slices.DeleteFunc(all[i].needs, func(p aws.Permission) bool {
			if !strings.HasPrefix(p.Holder, "arn:") {
				return false
			}
			at := slices.IndexFunc(roles, func(r holderNeeds) bool { return r.name == p.Holder })
			if at < 0 {
				at = len(roles)
				roles = append(roles, holderNeeds{name: p.Holder, title: "role " + p.Holder + ", on the way to another"})
			}
			p.Holder = ""
			roles[at].needs = append(roles[at].needs, p)
			return true
		})
	}
	return roles
}

// chosen leaves out what the flags exclude.
func chosen(needs []aws.Permission, o policyOptions) []aws.Permission {
	return slices.DeleteFunc(needs, func(p aws.Permission) bool {
		return o.noCreate && p.For == aws.ToCreate || o.noCheck && p.For == aws.ToCheck
	})
}

// placeOf finds out where a connection's resources are. If AWS can't be
// asked, a full ARN in rota.yaml says it too.
func (a *app) placeOf(ctx context.Context, c *aws.Connection, roles []permissionHolder, o policyOptions) (aws.Place, error) {
	if o.account != "" {
		return c.PlaceIn(o.account), nil
	}
	asking, cancel := context.WithTimeout(ctx, placeTimeout)
	defer cancel()
	at, err := c.Place(asking)
	if err == nil {
		return at, nil
	}
	if ctx.Err() != nil {
		return aws.Place{}, ctx.Err()
	}
	for _, r := range roles {
		for _, need := range r.Permissions(ctx, aws.Place{}) {
			if account, ok := aws.AccountIn(need.Resource); ok {
				a.note("rota: can't ask AWS who Rota is at connection %s; took account %s from %s", c.Name(), account, need.Resource)
				return c.PlaceIn(account), nil
			}
		}
	}
	return aws.Place{}, rota.WithRemedies(usage("the account of connection %s is unknown: %w", c.Name(), err), rota.Command("--account 111122223333"))
}
