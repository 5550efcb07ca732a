package river

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/rota-dev/rota/internal/engine"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/rotation"
)

// recentJobs are the jobs that this replica enqueued or saw enqueued lately, so
// that a long queue isn't offered again and again.
type recentJobs map[string]recentJob

type recentJob struct {
	fence int64
	at    time.Time
}

// rememberFor bounds how late a lost job is noticed.
const rememberFor = time.Minute

// errLeaderActive ends a scan that finds what another replica has enqueued.
var errLeaderActive = errors.New("another replica enqueues what is due")

// scan enqueues everything that has been due for this long and isn't enqueued
// yet. If the leader should have done it by then, the scan ends with the first
// batch that the leader did enqueue: the queue is long, and someone is filling
// it.
func (s *Service) scan(ctx context.Context, behind time.Duration) error {
	for name, r := range s.enqueued {
		if time.Since(r.at) > rememberFor {
			delete(s.enqueued, name)
		}
	}
	due := 0
	err := engine.EachDue(ctx, s.Queue, s.Now().Add(-behind), batch, func(found []rotation.Due) error {
		due += len(found)
		offered, made, err := s.enqueue(ctx, found)
		if err == nil && behind > 0 && offered > 0 && made == 0 {
			return errLeaderActive
		}
		return err
	})
	if errors.Is(err, errLeaderActive) {
		err = nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.health.Error = hint.Text(err)
		return err
	}
	s.health.LastScan, s.health.Error, s.health.Due = s.Now(), "", due
	return nil
}

// enqueue creates a job for each secret that has none. It returns how many
// weren't known to have a job, and how many of these had none.
func (s *Service) enqueue(ctx context.Context, found []rotation.Due) (offered, made int, err error) {
	var args []turnArgs
	for _, d := range found {
		if r, known := s.enqueued[d.Secret]; !known || r.fence != d.Fence {
			args = append(args, turnArgs{Secret: d.Secret, Fence: d.Fence, Due: d.NextAt})
		}
	}
	offered = len(args)
	// A job whose worker died before it started blocks the next one, whose
	// worker may die as well.
	for range maxReplacements {
		if len(args) == 0 {
			break
		}
		params := make([]river.InsertManyParams, len(args))
		for i, a := range args {
			params[i].Args = a
		}
		inserted, err := s.insert(ctx, params)
		if err != nil {
			return offered, made, fmt.Errorf("enqueue: %w", err)
		}
		var again []turnArgs
		for i, r := range inserted {
			if r.UniqueSkippedAsDuplicate && s.isLost(r.Job) {
				a := args[i]
				a.Replaces = r.Job.ID
				again = append(again, a)
				continue
			}
			if !r.UniqueSkippedAsDuplicate {
				made++
			}
			s.enqueued[args[i].Secret] = recentJob{args[i].Fence, time.Now()}
		}
		args = again
	}
	return offered, made, nil
}

// insertTimeout limits one statement.
const insertTimeout = 30 * time.Second

func (s *Service) insert(ctx context.Context, params []river.InsertManyParams) ([]*rivertype.JobInsertResult, error) {
	ctx, cancel := context.WithTimeout(ctx, insertTimeout)
	defer cancel()
	return s.client.InsertMany(ctx, params)
}

// maxReplacements is how many lost jobs of one turn are replaced. After that
// the secret waits until River rescues the first of them.
const maxReplacements = 10

// isLost reports whether a worker took the job long ago and never started. If
// it had started, the fence would be different, and so would the job.
func (s *Service) isLost(job *rivertype.JobRow) bool {
	return job.State == rivertype.JobStateRunning && job.AttemptedAt != nil && time.Since(*job.AttemptedAt) > s.LostAfter
}
