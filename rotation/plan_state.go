package rotation

import (
	"time"

	"github.com/rota-dev/rota"
)

// State is everything that the planner knows about a secret: what the store and
// the issuer last said, and what Rota remembers.
type State struct {
	Secret    string
	Owner     string // who has to act if Rota can't
	Traits    rota.Traits
	Targets   []string // names, in the order of delivery
	Reloaders []string // names, in the order of reloading

	// Contents is what the store holds, with each version's CredentialID
	// filled in.
	Contents rota.Contents

	// Lists means that the issuer can list its credentials, and Listed that
	// Issued is its answer.
	Lists, Listed bool
	Issued        []rota.Issued
	// Names are the issuer's names for its credentials, if those are fixed.
	Names []string
	// CanDeactivate means that the issuer's credentials can be deactivated.
	CanDeactivate bool
	// ReportsNoUse means that the issuer can never say whether a credential is in
	// use. Only a person can then know that nobody uses it.
	ReportsNoUse bool

	Progress Progress

	// Halts are a person's orders not to begin anything new.
	Halts Halts
	// Peers are the secrets that this one is kept apart from.
	Peers []Peer
	// Rivals are the other secrets that change the same credentials outside.
	Rivals []Rival

	// Proves means that whoever plans can ask whether the steps after one that
	// can't be undone would succeed, and Proven that this was asked. Unready is
	// why they wouldn't.
	Proves, Proven bool
	Unready        []Unready

	// Tells means that whoever plans can ask whether the current credential is in
	// force, Told that there's an answer, or none to be had, and Drifted that it
	// isn't. Unverified is why there's no answer, nil if there's one.
	Tells, Told, Drifted bool
	Unverified           *Unverified

	// AsksHolders means that whoever plans can ask targets and reloaders who still
	// holds the previous credential, HoldersKnown that this was asked. Holdings is
	// what they said.
	AsksHolders, HoldersKnown bool
	Holdings                  []Holding

	// AsksInstances means that whoever plans can ask what instances report that they
	// hold, InstancesKnown that this was asked. Instances is the answer.
	AsksInstances, InstancesKnown bool
	Instances                     Instances

	// Outdated is when the store was restored from a backup, if its current
	// credential has been replaced since the backup; zero otherwise.
	Outdated time.Time

	// Force is the step that someone asked for: create, deactivate or delete.
	// It skips the policy's dates, but never the proof that a credential is
	// unused. Requested is the same step, but stays set once the turn has taken
	// it.
	Force, Requested rota.Step
	// By is who asked for it, "" if that isn't known.
	By string

	// Chain is the one that the turn began with; the zero value is [Scheduled].
	// Driver is what a rotation's driver asks for, nil if there is none; its own
	// chain takes precedence.
	Chain  Chain
	Driver *Driving
	// IdleLooks is how many times in a row this turn found the previous
	// credential idle, if the issuer only shows who is logged in right now.
	IdleLooks int
}
