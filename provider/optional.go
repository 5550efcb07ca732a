package provider

import (
	"context"
	"time"
)

// Validator is implemented by configurations that can be wrong although each
// value by itself is good.
type Validator interface {
	// Validate reports what's wrong. It calls nothing outside and knows a
	// [Text] only where it is literal. A value that could not be read is zero;
	// what Validate reports about that is dropped, as it was reported already.
	Validate(v *Validation)
}

// Claimer is implemented by configurations of what changes something outside
// that one secret alone may change.
type Claimer interface {
	Claims(k *Known) []Claim
}

// Scoper is implemented by configurations of connections whose account or
// server can be told from rota.yaml: two connections with the same scope reach
// the same one.
type Scoper interface {
	// Scope names the account or the server; "" where the text doesn't say.
	Scope(k *Known) string
}

// Identifier is implemented by opened connections that can find out which
// account or server they reach.
type Identifier interface {
	// Identity names it, in the words that a [Claim]'s Scope uses. It's the
	// same for every connection that reaches the same account or server, and
	// "" where the system won't say.
	Identity(ctx context.Context) (string, error)
}

// Pacer is implemented by configurations of stores that bear only so many
// versions.
type Pacer interface {
	// LeastEvery is how far apart new versions must be in the long run, and
	// why, as a clause that goes on after "a new one every 5m is more than".
	LeastEvery() (d time.Duration, why string)
}
