// Package simulate proves Rota's rules in virtual time: random secrets on the
// systems of provider/memory, with faults, crashes, clocks that differ, leases
// that are taken over and people who interfere, all decided by one seed. A
// broken rule comes as a [*Violation] that the same [Options] bring about
// again; [Mutants] are planted bugs that prove that it would. It tests the
// heart alone: real systems are tested where they live, and nothing here
// waits, speaks to a network or starts a goroutine within a run.
//
// What is checked for each rule of docs/reliability.md, by whom, and when:
//
//	 1  after each change at the issuer and at random times, every consumer logs
//	    in with what it holds. It may fail where a person locked it out and,
//	    where the issuer allows one credential only, between setting and taking
//	    up (consumers.go)
//	 2  at create, a running intent is durable and no other orphan is about; at
//	    set, the value is in the store (retire.go)
//	 3  nothing is switched off or deleted that a person made, nor as an orphan
//	    what has served; no label is taken off a person's version, and no
//	    person's password is overwritten (retire.go)
//	 4  promoted is what logged in often enough in a row; deactivated, what is
//	    not current, with its successor served, delivered and reloaded, after its
//	    grace, when the issuer said in this turn that nobody uses it; deleted,
//	    what is inactive and past its second grace (retire.go)
//	 5  there are never more credentials than the limit, and a call runs into it
//	    only where something appeared moments ago (retire.go)
//	 6  after a takeover the stale worker saves nothing and changes nothing; what
//	    crashed does nothing more (worker.go, faults.go)
//	 7  nothing is created ahead of its date or twice in a turn; at the end of
//	    each quiet phase nothing is pending, failing, held without a cause,
//	    overdue or undelivered (retire.go, settled.go)
//	 8  no turn lasts, or waits for a slot, longer than an hour, while other
//	    secrets' systems hang; the engine's bulkheads are tested with the engine
//	    (worker.go)
//	 9  no step is tried much more often than the policy says, no loop spins, and
//	    a failure is remembered (rules.go)
//	10  a current version is whole, whenever read; no new one pushes another one
//	    that is on its way aside (rules.go, retire.go)
//	11  no value at hand is in an error, an event or an audit entry (rules.go);
//	    logs are tested in the heart
//	12  each change is preceded by an entry, in the same turn, that it begins
//	    (rules.go); the chain is tested with the store
//	13  an alert from outside tells of every secret that is overdue (settled.go)
//	15  every hold that not time alone ends names a remedy; an obedient operator,
//	    who sees nothing else, is out after three, never comes back to where they
//	    were, and locks nobody out (operator.go, deadends.go)
//	14  not here: bad input is tested in config and in the commands
package simulate
