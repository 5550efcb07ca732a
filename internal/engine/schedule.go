package engine

import (
	"time"

	"github.com/rota-dev/rota/rotation"
)

// LastLook is what is known about the last look at a secret.
type LastLook struct {
	LookedAt time.Time // zero for never
	NextAt   time.Time // when to look again; zero for immediately
}

// Schedule returns a Due function. A secret is due when its time has come, when
// it has never been looked at, and when the configuration has changed since the
// last look, so that an edited policy takes effect immediately. configured is
// since when the configuration has been as it is.
func Schedule(now, configured time.Time, seen map[string]LastLook) func(*rotation.Secret) bool {
	return func(s *rotation.Secret) bool {
		last := seen[s.Name]
		return last.LookedAt.IsZero() || last.LookedAt.Before(configured) || !last.NextAt.After(now)
	}
}
