package rotation

import "time"

// Due is a secret that is due for a turn.
type Due struct {
	Secret string
	NextAt time.Time // when it became due; zero for immediately
	Fence  int64     // of its latest lease; 0 if it never had one
}

// DueQuery asks for the secrets that are due, the longest overdue first.
type DueQuery struct {
	Now   time.Time
	After Due // only those that follow it in that order; the zero value for all
	Limit int
}

// Halt is a person's order not to begin anything new, either for one secret
// (paused) or for all (frozen).
type Halt struct {
	By  string    `json:"by"`
	Why string    `json:"why"`
	At  time.Time `json:"at"`
}

// Halts are the halts in effect for one secret; nil means none.
type Halts struct {
	Paused *Halt `json:"paused,omitempty"`
	Frozen *Halt `json:"frozen,omitempty"`
}
