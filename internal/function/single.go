package function

import (
	"cmp"
	"context"
)

// single does all at once for the one user that the environment names: retire
// the previous key, create and store the next.
func (inv *invocation) single(ctx context.Context) (any, error) {
	user := inv.settings.user
	s, err := inv.ofUser(ctx, user, cmp.Or(inv.settings.secret, user), inv.settings.beforeCreate())
	if err != nil {
		return nil, err
	}
	return inv.force(ctx, s, actions["create"], nil)
}
