package engine

import (
	"time"

	"github.com/rota-dev/rota/rotation"
)

// LastLook is what is remembered of the last look at a secret.
type LastLook struct {
	LookedAt time.Time // zero for never
	NextAt   time.Time // when to look again; zero for at once
}

// Schedule gives a Due function: a secret is looked at when its time has come,
// when it was never looked at, and when the configuration was changed since
// the last look, so that an edit of a policy counts at once. configured is
// since when the configuration is as it is.
func Schedule(now, configured time.Time, seen map[string]LastLook) func(*rotation.Secret) bool {
	return func(s *rotation.Secret) bool {
		last := seen[s.Name]
		return last.LookedAt.IsZero() || last.LookedAt.Before(configured) || !last.NextAt.After(now)
	}
}
