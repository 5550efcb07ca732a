package aws

import "context"

// Connection implements [PermissionHolder].
func (a *assumedRole) Connection() *Connection { return a.connection }

// Permissions implements [PermissionHolder]. Rota and each role on the way need
// the permission to assume the next role.
func (a *assumedRole) Permissions(context.Context, Place) []Permission {
	needs := alongChain(Permission{ID: "AssumeRole", Action: "sts:AssumeRole", Why: "makes the next session"}, a.cfg.Chain, a.cfg.RoleARN)
	if len(a.cfg.Tags) > 0 { // the caller that requests the session tags it
		last := needs[len(needs)-1]
		last.Action, last.Why = "sts:TagSession", "gives the session its tags"
		needs = append(needs, last)
	}
	return needs
}
