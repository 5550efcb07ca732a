// Package simulate tests Rota's rules in virtual time. It runs random secrets
// on the systems of provider/memory, with faults, crashes, clock skew, lease
// takeovers and people who interfere, all determined by one seed. A broken rule
// is reported as a [*Violation], which the same [Options] reproduce. [Mutants]
// are planted bugs that prove that the rules catch bugs. Only the core is
// tested here: real systems are tested in their own packages, and a run never
// sleeps, uses the network or starts a goroutine.
//
// How each rule of docs/reliability.md is checked, and in which file:
//
//	 1  After each change at the issuer, and at random times, every consumer logs
//	    in with the credential it holds. This can fail only if a person locked
//	    the consumer out or, if the issuer allows one credential only, between
//	    setting and picking up. (consumers.go)
//	 2  At create, a running intent has been saved and there is no other orphan;
//	    at set, the value is in the store. (retire.go)
//	 3  Nothing made by a person is deactivated or deleted, nor is anything that
//	    has been served treated as an orphan. No label is taken off a person's
//	    version, and no person's password is overwritten. (retire.go)
//	 4  A promoted credential has logged in enough times in a row. A deactivated
//	    one isn't current, its successor is served, delivered and reloaded, its
//	    grace period is over, and the issuer has reported in this turn that it
//	    isn't in use. A deleted one is inactive and past its second grace period.
//	    If Rota can't deactivate it, its deletion needs all that a deactivation
//	    needs, at the end of both grace periods. (retire.go)
//	 5  There are never more credentials than the limit, and a call hits it only
//	    if something appeared moments ago. (retire.go)
//	 6  After a takeover the stale worker saves nothing and changes nothing, and a
//	    crashed worker does nothing more. (worker.go, faults.go)
//	 7  Nothing is created early or twice in a turn. At the end of each quiet
//	    phase nothing is pending, failing, held without a cause, overdue or
//	    undelivered. (retire.go, settled.go)
//	 8  No turn lasts, or waits for a slot, longer than an hour while other
//	    secrets' systems hang. The engine's bulkheads are tested with the engine.
//	    (worker.go)
//	 9  No step is retried much more often than the policy says, no loop spins,
//	    and failures are remembered. (rules.go)
//	10  The current version is complete whenever it's read, and no new version
//	    displaces another one in progress. (rules.go, retire.go)
//	11  No current value is in an error, an event or an audit entry. (rules.go)
//	    Logs are tested with the core.
//	12  Each change is preceded, in the same turn, by an audit entry that says it
//	    begins. (rules.go) The hash chain is tested with the store.
//	13  An alert from outside reports every overdue secret, and a secret whose
//	    current credential isn't in force doesn't look fine for longer than a day.
//	    (settled.go)
//	14  Not tested here: bad input is tested in config and in the commands.
//	15  Every hold that time alone doesn't end names a remedy. An obedient
//	    operator, who sees nothing else, gets out after at most three, never
//	    returns to an earlier state, and locks no one out. (operator.go,
//	    deadends.go)
package simulate
