// Package rotation decides what a secret needs and does it. It knows the
// interfaces of package rota only: no provider, no database, no configuration
// file.
//
// # Deciding
//
// [Plan] takes how a secret stands ([State]), when its owner wants what
// ([Policy]) and the time, and gives a [Decision]: the step to take now, with
// the reason, or what is waited for, or why something that is due must not
// happen (a hold). It is pure, and everything calls it: the daemon, rota plan,
// the simulator. [Project] runs it forward in time.
//
// # Doing
//
// A [Rotator] carries decisions out. [Rotator.Advance] is one worker's turn at
// one [Secret]: it takes the lease, looks at the outside systems afresh, plans,
// writes down what it is about to do, does it, and repeats until there is
// something to wait for. It can be interrupted anywhere; the next turn resumes.
//
// # Remembering
//
// The store's labels are the truth about versions. Everything else that must
// survive a crash (intents, what was delivered, attempts) is in a [Journal],
// which also holds the leases and the audit. provider/memory has a journal for
// tests; a program that embeds Rota implements its own, and runs the suite in
// provider/providertest on it.
package rotation
