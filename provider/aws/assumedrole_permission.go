package aws

import "context"

// On implements [Role].
func (a *assumedRole) On() *Connection { return a.connection }

// Permissions implements [Role]: on the first role that is assumed. What the
// roles of a chain need is for their own policies to say.
func (a *assumedRole) Permissions(context.Context, Place) []Permission {
	first, needs := a.cfg.RoleARN, []reason{{"sts:AssumeRole", "makes the next session"}}
	switch {
	case len(a.cfg.Chain) > 0:
		first = a.cfg.Chain[0]
	case len(a.cfg.Tags) > 0:
		needs = append(needs, reason{"sts:TagSession", "gives the session its tags"})
	}
	return Permission{ID: "AssumeRole", Resource: first}.each(needs...)
}
