package rotation

import (
	"time"

	"github.com/rota-dev/rota"
)

// State is everything the planner may know about a secret: what the store and the
// issuer said when last asked, and what Rota remembers.
type State struct {
	Secret    string
	Owner     string // who has to act where no program can
	Traits    rota.Traits
	Targets   []string // names, in the order of delivery
	Reloaders []string // names, in the order of reloading

	// Contents is the store's; its versions' CredentialID are filled in.
	Contents rota.Contents

	// Lists means that the issuer can list, Listed that Issued is its answer.
	Lists, Listed bool
	Issued        []rota.Issued
	// CanDeactivate means that the issuer's credentials can be switched off.
	CanDeactivate bool

	Progress Progress

	// Halts say that a person stopped anything new from beginning.
	Halts Halts
	// Peers are the secrets that this one is kept apart from.
	Peers []Peer
	// Rivals are the secrets that change the same thing outside.
	Rivals []Rival

	// Outdated is when the store was restored from a backup, where its current
	// credential was replaced since; zero otherwise.
	Outdated time.Time

	// Force is the step that a person asked for now: Create, Deactivate or
	// Delete ahead of the policy's dates, never ahead of the proof of non-use.
	// Requested is the same step, and stays when it was taken in this turn.
	Force, Requested rota.Step

	// Chain is the one that the turn began with; the zero value is [Scheduled].
	// Driver is what a rotation's driver asks for, nil if there is none; its own
	// chain takes precedence.
	Chain  Chain
	Driver *Driving
	// IdleLooks is how many looks in a row of this turn found the previous
	// credential idle, where the issuer only shows who is logged in right now.
	IdleLooks int
}
