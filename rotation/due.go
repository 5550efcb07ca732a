package rotation

import "time"

// Due is a secret whose time has come.
type Due struct {
	Secret string
	NextAt time.Time // since when; zero for at once
	Fence  int64     // of its latest lease; 0 where it had none yet
}

// DueQuery asks for secrets whose time has come, the longest overdue first.
type DueQuery struct {
	Now   time.Time
	After Due // only what follows it in that order; the zero value for all
	Limit int
}

// Halt is a person's word that nothing new is to be begun: for one secret that
// is paused, or for all while they are frozen.
type Halt struct {
	By  string    `json:"by"`
	Why string    `json:"why"`
	At  time.Time `json:"at"`
}

// Halts are those that concern one secret; nil where there is none.
type Halts struct {
	Paused *Halt `json:"paused,omitempty"`
	Frozen *Halt `json:"frozen,omitempty"`
}
