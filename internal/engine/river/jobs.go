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

// turnArgs identify one turn of one secret. They contain no value.
type turnArgs struct {
	Secret string `json:"secret" river:"unique"`
	// Fence is that of the secret's latest lease when the job was created: once
	// a worker has started, another turn is another job.
	Fence int64 `json:"fence" river:"unique"`
	// Replaces is the job that this one replaces, because a worker took it and
	// never started; usually 0.
	Replaces int64     `json:"instead,omitempty" river:"unique"`
	Due      time.Time `json:"due,omitzero"`
}

func (turnArgs) Kind() string { return "rota_turn" }

// unfinished are the states in which there is at most one job per turn.
var unfinished = []rivertype.JobState{
	rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRunning,
	rivertype.JobStateRetryable, rivertype.JobStateScheduled,
}

// InsertOpts are River's options for these jobs.
func (turnArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{
		Queue: turnQueue, MaxAttempts: 1,
		UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: unfinished},
	}
}

// turnWorker works on turnArgs.
type turnWorker struct {
	river.WorkerDefaults[turnArgs]
	worker      *engine.Worker
	maxDuration time.Duration
}

// Timeout is longer than any turn: a turn that is canceled starts over, and
// would never finish.
func (t *turnWorker) Timeout(*river.Job[turnArgs]) time.Duration { return t.maxDuration }

// Work runs the turn. If the secret's systems have no room, the job is snoozed,
// so that it doesn't take a slot from others.
func (t *turnWorker) Work(ctx context.Context, job *river.Job[turnArgs]) error {
	_, err := t.worker.Advance(ctx, job.Args.Secret, job.Args.Due)
	if full, ok := errors.AsType[*engine.NoRoomError](err); ok {
		return river.JobSnooze(full.After + snoozeDelay(snoozes(job.JobRow)))
	}
	if _, skipped := errors.AsType[*engine.SkippedError](err); skipped {
		return river.JobSnooze(0) // this replica is stopping
	}
	if n := snoozes(job.JobRow); errors.Is(err, rota.ErrOtherConfiguration) || errors.Is(err, engine.ErrUnknown) && n < maxUnknownSnoozes {
		return river.JobSnooze(snoozeDelay(min(n, maxConfigurationDelay))) // for a replica with the active configuration
	}
	switch {
	case errors.Is(err, engine.ErrUnknown), errors.Is(err, rota.ErrBusy), errors.Is(err, rota.ErrFenced), errors.Is(err, context.Canceled):
		return nil // someone else does it, or it's still due and becomes another job
	case err != nil:
		return river.JobCancel(err) // it's in the row and in the log; this is for people looking at the queue
	}
	return nil
}

// maxConfigurationDelay bounds how long a job waits for a replica with the active
// configuration before any replica may take it again: two seconds. River is slow to
// notice the end of a snooze of five seconds or more.
const maxConfigurationDelay = 3

// maxUnknownSnoozes is how often a job is snoozed because no replica knew its
// secret: some of them may not have read the new configuration yet. After that
// the secret is still due, and becomes another job.
const maxUnknownSnoozes = 8

// snoozes is how often River has snoozed a job.
func snoozes(job *rivertype.JobRow) int {
	var m struct {
		Snoozes int `json:"snoozes"`
	}
	if json.Unmarshal(job.Metadata, &m) != nil {
		return 0 // not ours to judge
	}
	return m.Snoozes
}

// snoozeDelay is how long a job waits after finding no room for the nth time.
// It's random, so that jobs don't all come back at once.
func snoozeDelay(n int) time.Duration {
	most := 250 * time.Millisecond << min(max(n, 0), 5)
	return most/2 + rand.N(most/2) //nolint:gosec // no secret
}
