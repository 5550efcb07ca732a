package rotation

import (
	"context"
	"time"

	"github.com/rota-dev/rota"
)

// Journal keeps the progress of secrets and the audit log. Progress is written
// ahead: what a step is about to do is durable before the step does it.
type Journal interface {
	// Acquire takes the secret's lease for the holder. It fails with
	// [rota.ErrBusy] while another holder's lease hasn't expired. A journal that
	// can detect that the holder's process is dead may free its lease
	// immediately. Each lease's fence is higher than any before it.
	//
	// A journal in which configurations are enrolled returns
	// [rota.ErrOtherConfiguration] for work that is merely due if the holder has
	// a different configuration of the secret. Any other turn with a different
	// configuration, or one that began before the secret's configuration was
	// replaced, leaves the secret due immediately, whatever its Save says.
	Acquire(ctx context.Context, r AcquireRequest) (Lease, error)
	// Release gives the lease back. Releasing a lost lease isn't an error.
	Release(ctx context.Context, l Lease) error
	// Load reads everything kept about a secret, and the status of the peers it
	// has to be kept apart from. It's one consistent read: all parts of the
	// [Snapshot] are from the same moment. Anything never saved is zero.
	Load(ctx context.Context, secret string, peers ...string) (Snapshot, error)
	// Save writes progress and audit entries in one durable commit, and renews
	// the lease or gives it back. If the lease was lost, it writes nothing and
	// returns [rota.ErrFenced].
	Save(ctx context.Context, r SaveRequest) error
}

// Snapshot is everything a journal keeps about one secret, as of one moment.
type Snapshot struct {
	Progress Progress
	// Halts say whether a person paused the secret or froze everything. A
	// journal that doesn't support halts leaves them zero.
	Halts Halts
	// RestoredAt is when the journal was last reverted to an older state, for
	// example restored from a backup; zero for never. Only issuers, stores and
	// targets know what was done in between.
	RestoredAt time.Time
	// Peers is the status of each secret that was asked for, by name. A peer
	// that was never saved is missing.
	Peers map[string]Status
	// Contents is what the secret's store holds, if the journal is a
	// [StoreKeeper] and keeps it.
	Contents rota.Contents
}

// AcquireRequest asks for a lease.
type AcquireRequest struct {
	Secret string
	Holder string
	TTL    time.Duration
	// Configuration is the one of the holder's [Secret]; "" for any.
	Configuration string
	// Due means that the secret is merely due, without a request from a person
	// or a driver.
	Due bool
}

// Lease is the right to work on a secret until Expires, or until a holder with a
// higher fence takes over.
type Lease struct {
	Secret  string
	Holder  string
	Fence   int64
	TTL     time.Duration
	Expires time.Time
}

// SaveRequest is progress with the audit entries that belong to it.
type SaveRequest struct {
	Lease    Lease
	Progress Progress
	Entries  []Entry
	// Release gives the lease back in the same commit: a turn's last Save.
	Release bool
	// Peers are other secrets as they were when this was decided. If one of them
	// has changed, nothing is written and Save returns [rota.ErrPeer]. Two Saves
	// that are each other's peers are serialized, so the second sees the first.
	Peers []Peer
}
