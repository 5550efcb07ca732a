// Package rotation decides what a secret needs and does it. It knows the
// interfaces of package rota only: no provider, no database, no configuration
// file.
//
// # Deciding
//
// [Plan] takes the state of a secret ([State]), what its owner wants when
// ([Policy]) and the time, and returns a [Decision]: the step to take now, with
// the reason, or what to wait for, or why something that is due must not happen (a
// hold). It is pure, and everything calls it: the daemon, rota plan, the
// simulator. [Project] runs it forward in time.
//
// # Doing
//
// A [Rotator] carries decisions out. [Rotator.Advance] is one worker's turn at
// one [Secret]: it takes the lease, looks at the outside systems afresh, plans,
// writes down what it is about to do, does it, and repeats until there is
// something to wait for. It can be interrupted anywhere; the next turn resumes.
//
// # Following a secret through the code
//
// Advance makes a turn (turn.go), which has four parts: the request, which says
// what somebody wants (request.go); the observation, which is what the outside
// systems said (observe.go); the ledger, which is what the turn remembers and
// writes down, and the only part that talks to the journal (ledger.go,
// commit.go); and outside, which makes the calls to the secret's systems
// (outside.go).
//
// The loop (loop.go) observes, puts the parts together as a [State], and plans on
// it (plan*.go). It carries the [Decision] out with the step of the same name
// (steps.go, serve.go, retire.go, rollback.go): the ledger writes ahead, outside
// makes the call, the ledger notes the outcome. What a failure or a success means
// for the next decision follows from the decision, what it was made on
// (basis.go) and the error (outcome.go, status.go). Adopt and Drive differ in
// what they ask for, and share the rest.
//
// # Remembering
//
// The store's labels are the truth about versions. Everything else that must
// survive a crash (intents, what was delivered, attempts) is in a [Journal],
// which also holds the leases and the audit. provider/memory has a journal for
// tests; a program that embeds Rota implements its own, and runs the suite in
// provider/providertest on it.
package rotation
