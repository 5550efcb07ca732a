package river

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/engine"
)

// turnQueue is the queue's name.
const turnQueue = "rota_turns"

// turnArgs are one turn at one secret. They name it, and hold no value.
type turnArgs struct {
	Secret string `json:"secret" river:"unique"`
	// Fence is that of the secret's latest lease when the job was made: once a
	// worker has begun, another turn is another job.
	Fence int64 `json:"fence" river:"unique"`
	// Instead is the job in whose place this one is, whose worker took it and
	// never began; 0 as a rule.
	Replaces int64     `json:"instead,omitempty" river:"unique"`
	Due     time.Time `json:"due,omitzero"`
}

func (turnArgs) Kind() string { return "rota_turn" }

// unfinished are the states in which there is one job a turn at most.
var unfinished = []rivertype.JobState{
	rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRunning,
	rivertype.JobStateRetryable, rivertype.JobStateScheduled,
}

// InsertOpts are River's options of such a job.
func (turnArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{
		Queue: turnQueue, MaxAttempts: 1,
		UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: unfinished},
	}
}

// turnWorker is the worker of turnArgs.
type turnWorker struct {
	river.WorkerDefaults[turnArgs]
	worker  *engine.Worker
	maxDuration time.Duration
}

// Timeout is longer than any turn: a turn that is broken off is begun again,
// and would never end.
func (t *turnWorker) Timeout(*river.Job[turnArgs]) time.Duration { return t.maxDuration }

// Work does the turn, unless the secret's systems have no room: then the job is
// put off, for it must take no place from others.
func (t *turnWorker) Work(ctx context.Context, job *river.Job[turnArgs]) error {
	_, err := t.worker.Advance(ctx, job.Args.Secret, job.Args.Due)
	if full, ok := errors.AsType[*engine.NoRoomError](err); ok {
		return river.JobSnooze(full.After + snoozeDelay(snoozes(job.JobRow)))
	}
	if _, skipped := errors.AsType[*engine.SkippedError](err); skipped {
		return river.JobSnooze(0) // this replica is stopping
	}
	if n := snoozes(job.JobRow); errors.Is(err, rota.ErrOtherConfiguration) || errors.Is(err, engine.ErrUnknown) && n < maxUnknownSnoozes {
		return river.JobSnooze(snoozeDelay(n)) // for a replica that has the configuration that is in force
	}
	switch {
	case errors.Is(err, engine.ErrUnknown), errors.Is(err, rota.ErrBusy), errors.Is(err, rota.ErrFenced), errors.Is(err, context.Canceled):
		return nil // somebody else does it, or it is still due and becomes another job
	case err != nil:
		return river.JobCancel(err) // it is in the row and in the log; here for who looks at the queue
	}
	return nil
}

// maxUnknownSnoozes is how often a job is put off that no replica knew the secret of:
// some of them may not have read the new configuration yet. After that the
// secret is still due, and becomes another job.
const maxUnknownSnoozes = 8

// snoozes is how often River has put a job off.
func snoozes(job *rivertype.JobRow) int {
	var m struct {
		Snoozes int `json:"snoozes"`
	}
	if json.Unmarshal(job.Metadata, &m) != nil {
		return 0 // not ours to judge
	}
	return m.Snoozes
}

// snoozeDelay is how long a job waits that found no room for the nth time: a random
// time, so that not all come again at once.
func snoozeDelay(n int) time.Duration {
	most := 250 * time.Millisecond << min(max(n, 0), 5)
	return most/2 + rand.N(most/2) //nolint:gosec // no secret
}
