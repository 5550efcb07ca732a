package function

import (
	"cmp"
	"context"
)

// rotateSingle does everything at once for the only user, named by the
// environment: it retires the previous key, then creates and stores the next.
func (inv *invocation) rotateSingle(ctx context.Context) (any, error) {
	user := inv.settings.user
	s, err := inv.secretOfUser(ctx, user, cmp.Or(inv.settings.secret, user), inv.settings.retireFirstPolicy())
	if err != nil {
		return nil, err
	}
	return inv.forceStep(ctx, s, actions["create"], nil)
}
