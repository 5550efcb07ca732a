// Package rotation decides what a secret needs and does it. It depends only on
// the interfaces of package rota: no provider, no database, no configuration
// file.
//
// # Deciding
//
// [Plan] takes the state of a secret ([State]), its owner's [Policy] and the
// time, and returns a [Decision]: the step to take now and why, what to wait for,
// or why something that's due must not happen yet (a hold). It's pure, and the
// daemon, rota plan and the simulator all call it. [Project] runs it forward in
// time.
//
// # Doing
//
// A [Rotator] carries out decisions. [Rotator.Advance] is one worker's turn at
// one [Secret]: it takes the lease, observes the outside systems, plans, records
// what it's about to do, does it, and repeats until it has to wait for something.
// It can be interrupted at any point; the next turn resumes.
//
// # Following a secret through the code
//
// Advance makes a turn (turn.go), which has four parts:
//
//   - the request: what the caller wants (request.go)
//   - the observation: what the outside systems said (observe.go)
//   - the ledger: what the turn remembers and records; it's the only part that
//     talks to the journal (ledger.go, commit.go)
//   - outside: the calls to the secret's systems (outside.go)
//
// The loop (loop.go) observes, assembles a [State] from these parts, and plans on
// it (plan*.go). It carries out the [Decision] with the step of the same name
// (steps*.go, serve.go, retire.go, rollback.go): the ledger writes ahead, outside
// makes the call, the ledger records the outcome. What a success or a failure
// means for the next decision follows from the decision, its basis (basis.go) and
// the error (outcome.go, status.go). Adopt and Drive make different requests and
// share the rest.
//
// # Remembering
//
// The store's labels are the source of truth about versions. Everything else that
// must survive a crash (intents, deliveries, attempts) is in a [Journal], which
// also keeps the leases and the audit log. provider/memory has a journal for
// tests. A program that embeds Rota implements its own and tests it with the
// suite in provider/providertest.
package rotation
