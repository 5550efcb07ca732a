package rotation

import "time"

// Due is a secret that is due for a turn.
type Due struct {
	Secret string
	NextAt time.Time // since when; zero for at once
	Fence  int64     // of its latest lease; 0 where it had none yet
}

// DueQuery asks for the secrets that are due, the longest overdue first.
type DueQuery struct {
	Now   time.Time
	After Due // only what follows it in that order; the zero value for all
	Limit int
}

// Halt says that a person stopped anything new from beginning: for one secret,
// which is paused, or for all, which are frozen.
type Halt struct {
	By  string    `json:"by"`
	Why string    `json:"why"`
	At  time.Time `json:"at"`
}

// Halts are those in effect for one secret; nil for none.
type Halts struct {
	Paused *Halt `json:"paused,omitempty"`
	Frozen *Halt `json:"frozen,omitempty"`
}
