package secretsmanager

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/internal/access"
	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/internal/store/record"
	"github.com/rota-dev/rota/rotation"
)

var noTime time.Time

const (
	maxAttempts = 5 // per step
	// jobLease is how long a rotation in progress is left alone. After that,
	// whoever looks for due rotations resumes it, because its process may have
	// stopped.
	jobLease = 90 * time.Minute
	// retryAfter is how long after a failure a rotation is retried.
	retryAfter = time.Hour
)

// The steps that a function is called with, in order.
var stepNames = []string{"createSecret", "setSecret", "testSecret", "finishSecret"}

// job is one rotation by a function.
type job struct {
	name, arn, token, url string
	rehearsal             bool // call only testSecret, then remove the version
}

func (s *Server) newJob(r record.Record, token string) job {
	return job{name: r.Name, arn: s.ARN(r), token: token, url: s.opts.Functions[r.Rotation.FunctionARN]}
}

// begin announces the new version: without a value, or, for a rehearsal, with a
// copy of the current one.
func (j job) begin(c *record.Change) error {
	if c.Version(j.token) != nil {
		return errInvalidRequest(tokenInUse(j.arn, j.token))
	}
	if err := announce(c, j.token); err != nil {
		return err
	}
	if current := c.Holder(labelCurrent); j.rehearsal && current != nil {
		value, err := c.Value(current.ID)
		if err != nil {
			return err
		}
		c.Version(j.token).Empty = false
		c.Put(j.token, value)
	}
	attach(c, labelPending, j.token)
	c.Rotation.Underway = record.Underway{Version: j.token, Rehearsal: j.rehearsal}
	c.Rotation.NextAt = c.Now.Add(jobLease)
	c.ChangedAt = c.Now
	return checkLabelQuota(c.Record)
}

// underway returns the rotation in progress, if AWSPENDING is still on the
// version it announced. Only such a version is ever resumed: any other could
// hold a value that has been replaced.
func (s *Server) underway(r record.Record) (job, bool) {
	p := pending(&r)
	if p == nil || p.ID != r.Rotation.Underway.Version {
		return job{}, false
	}
	j := s.newJob(r, p.ID)
	j.rehearsal = r.Rotation.Underway.Rehearsal
	return j, true
}

// endRehearsal removes a rehearsal's version, if there is one.
func endRehearsal(c *record.Change) {
	if !c.Rotation.Underway.Rehearsal {
		return
	}
	c.Rotation.NextAt = nextByRules(c.Record)
	c.Drop(c.Rotation.Underway.Version)
	c.Rotation.Underway = record.Underway{}
}

// rotations are those in progress in this process, at most one per secret.
type rotations struct {
	ctx  context.Context
	stop context.CancelFunc

	mu      sync.Mutex
	running map[string]*runningJob // by the secret's name
	all     sync.WaitGroup
}

type runningJob struct {
	job
	cancel context.CancelFunc
	done   chan struct{}
}

// start runs a job in the background, unless the secret already has one. Another
// job takes the place of a rehearsal.
func (r *rotations) start(s *Server, g *record.Guarded, j job) {
	r.mu.Lock()
	defer r.mu.Unlock()
	former := r.running[j.name]
	if former != nil && (!former.rehearsal || former.token == j.token) || r.ctx.Err() != nil {
		return
	}
	if r.running == nil {
		r.running = map[string]*runningJob{}
	}
	ctx, cancel := context.WithTimeout(r.ctx, jobLease)
	this := &runningJob{j, cancel, make(chan struct{})}
	r.running[j.name] = this
	r.all.Go(func() {
		defer close(this.done)
		if former != nil {
			former.cancel()
			<-former.done
		}
		s.run(ctx, g, j)
		cancel()
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.running[j.name] == this {
			delete(r.running, j.name)
		}
	})
}

func (r *rotations) cancel(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if this := r.running[name]; this != nil {
		this.cancel()
	}
}

// Close stops the rotations in progress and waits for them to stop. They resume
// after the next start.
func (s *Server) Close() {
	s.rotations.stop()
	s.Wait()
}

// Wait waits until no rotation is in progress.
func (s *Server) Wait() { s.rotations.all.Wait() }

// run carries out a job and records the result.
func (s *Server) run(ctx context.Context, g *record.Guarded, j job) {
	err := s.runSteps(ctx, j)
	if ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return // canceled, or to be resumed after the next start
	}
	// The result is recorded even if the job ran out of time.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if err == nil && !j.rehearsal {
		err = j.checkPromoted(ctx, g)
	}
	act := record.Operation{Action: access.Rotate, Op: rotation.OpRotate, Version: j.token}
	if j.rehearsal {
		act.Detail = "testSecret only, with a copy of the current value"
	}
	if err != nil {
		act.Outcome, act.Detail = rotation.OutcomeFailed, hint.Text(err)
		s.opts.Log.Warn("rotation failed", "secret", j.name, "version", j.token, "error", err)
	}
	failed := g.Update(ctx, j.name, act, func(c *record.Change) error { return j.end(c, err) })
	if failed != nil && !errors.Is(failed, record.ErrNotFound) {
		s.opts.Log.Error("the end of a rotation can't be recorded", "secret", j.name, "version", j.token, "error", failed)
	}
}

// checkPromoted returns nil if the new version is current, as the last step
// must leave it.
func (j job) checkPromoted(ctx context.Context, g *record.Guarded) error {
	r, err := g.ViewFor(ctx, access.Rotate, rotation.OpRotate, j.name)
	if err != nil {
		return err
	}
	if v := r.Holder(labelCurrent); v == nil || v.ID != j.token {
		return rota.WithRemedies(errors.New("the rotation function reported success but left AWSCURRENT on another version"), rota.Outside("look at its finishSecret"))
	}
	return nil
}

// end records the job's result.
func (j job) end(c *record.Change, failed error) error {
	switch {
	case !c.Exists:
		return record.ErrNotFound
	case j.rehearsal:
		if c.Rotation.Underway.Version == j.token {
			endRehearsal(c)
		}
	case failed != nil:
		c.Rotation.NextAt = c.Now.Add(retryAfter)
	default:
		c.Rotation.RotatedAt = c.Now
		c.Rotation.NextAt = next(c.Rotation, c.Now)
	}
	return nil
}

// runSteps calls the function with each step until it succeeds.
func (s *Server) runSteps(ctx context.Context, j job) error {
	todo := stepNames
	if j.rehearsal {
		todo = stepNames[2:3]
	}
	for _, step := range todo {
		wait := s.opts.Retry
		for attempt := 1; ; attempt++ {
			err := s.invoke(ctx, j, step)
			if err == nil {
				break
			}
			if attempt == maxAttempts || ctx.Err() != nil {
				return fmt.Errorf("step %s: %w", step, err)
			}
			if rota.Sleep(ctx, wait) != nil {
				return fmt.Errorf("step %s: %w", step, err)
			}
			wait *= 2
		}
	}
	return nil
}
