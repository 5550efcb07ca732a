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
	// Scope names the account or the server; "" where the text doesn't say. It's
	// compared with other connections' scopes and with a [Claim]'s Scope, never
	// with what [Identifier] returns.
	Scope(k *Known) string
}

// Identifier is implemented by opened connections that can find out which
// account or server they reach. Rota asks only if another secret claims
// something of the same name through another connection.
type Identifier interface {
	// Identity names the account or server, spelled as in a [Claim]'s Scope if
	// the provider's claims set one, and otherwise in any spelling. It's the same
	// for every connection that reaches the same one, and differs for
	// two that merely look alike, such as a server and a copy of it. What can
	// change while the account or server stays the same, such as the time a
	// server was started, may be part of it: two answers that differ count only
	// if they were given at about the same time.
	//
	// It's "" where the system has nothing that identifies it. It changes nothing
	// outside, honors the context's deadline, and may be called concurrently.
	Identity(ctx context.Context) (string, error)
}

// ServerIdentifier is an [Identifier] for connections that reach several servers.
// Where one can't say who it is, a claim's Scope is taken.
type ServerIdentifier interface {
	// ServerIdentity is [Identifier].Identity for a [Claim]'s Server.
	ServerIdentity(ctx context.Context, server string) (string, error)
}

// Pacer is implemented by configurations of stores that bear only so many
// versions.
type Pacer interface {
	// LeastEvery is how far apart new versions must be in the long run, and
	// why, as a clause that goes on after "a new one every 5m is more than".
	LeastEvery() (d time.Duration, why string)
}

// FileWriter is implemented by configurations of targets that write a file on
// this machine.
type FileWriter interface {
	// File is the file's path. A configuration in which it's one of Rota's own
	// is refused, as far as the text says.
	File() Text
}
