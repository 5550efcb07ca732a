package function

import (
	"cmp"
	"context"
)

// rotateSingle does all at once for the one user that the environment names: retire
// the previous key, create and store the next.
func (inv *invocation) rotateSingle(ctx context.Context) (any, error) {
	user := inv.settings.user
	s, err := inv.secretOfUser(ctx, user, cmp.Or(inv.settings.secret, user), inv.settings.retireFirstPolicy())
	if err != nil {
		return nil, err
	}
	return inv.forceStep(ctx, s, actions["create"], nil)
}
