package function

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/rotation"
)

// sweepOutput is the result of a sweep.
type sweepOutput struct {
	Secrets int               `json:"secrets"`
	Done    map[string]string `json:"done,omitempty"` // the last reason, by secrets for which something was done
	Held    map[string]string `json:"held,omitempty"`
	Left    []string          `json:"left,omitempty"` // for the next sweep, because time ran out
}

const (
	// sweepWorkers is how many secrets a sweep works on at once.
	sweepWorkers = 4
	// minTurnTime is the time that must be left to start a secret's turn.
	minTurnTime = 30 * time.Second
)

// sweep does what is due for all configured secrets, or for one, in the
// remaining time. A failure of one affects no other.
func (inv *invocation) sweep(ctx context.Context, e sweepEvent) (any, error) {
	if inv.wired == nil {
		return nil, &configError{rota.WithRemedies(errors.New("there is no configuration"), rota.Outside("ROTA_CONFIG=s3://bucket/rota.yaml"))}
	}
	secrets, err := inv.sweepOrder(e)
	if err != nil {
		return nil, err
	}
	out := sweepOutput{Secrets: len(secrets), Done: map[string]string{}, Held: map[string]string{}}
	var errs []error
	if e.Secret == "" {
		for _, name := range slices.Sorted(maps.Keys(inv.wired.Broken)) {
			errs = append(errs, &configError{inv.wired.Broken[name]})
		}
	}
	begun := time.Now()
	var mu sync.Mutex
	var turns errgroup.Group
	turns.SetLimit(sweepWorkers)
	for i, s := range secrets {
		if !timeLeft(ctx, begun) {
			mu.Lock()
			for _, left := range secrets[i:] {
				out.Left = append(out.Left, left.Name)
			}
			mu.Unlock()
			break
		}
		turns.Go(func() error {
			result, err := inv.rotator().Advance(ctx, s, rotation.Options{})
			mu.Lock()
			defer mu.Unlock()
			inv.metrics.result(result, inv.Now())
			switch {
			case err != nil && rota.ClassOf(err) == rota.ClassWait && !timeLeft(ctx, begun):
				out.Left = append(out.Left, s.Name) // its turn was cut short, and continues from there
			case err != nil:
				errs = append(errs, err)
			case result.Last.Hold != rotation.HoldNone:
				out.Held[s.Name] = result.Last.Reason
			}
			if len(result.Done) > 0 {
				out.Done[s.Name] = result.Done[len(result.Done)-1].Reason
			}
			return nil // one that fails stops no other
		})
	}
	_ = turns.Wait()
	inv.cursor = ""
	if len(out.Left) > 0 {
		inv.cursor = out.Left[0]
		inv.metrics.skipped(len(out.Left))
		inv.Log.WarnContext(ctx, "not enough time for all secrets", "left", len(out.Left), "of", len(secrets))
		if len(out.Left) == len(secrets) {
			errs = append(errs, &rota.Error{Op: "sweep", Class: rota.ClassWait, Remedies: rota.Outside("raise the function's timeout"), Err: errors.New("there wasn't enough time for a single secret")})
		}
	}
	return out, errors.Join(errs...)
}

// timeLeft reports whether another secret can be started: there's enough time,
// or, if the function never has that much, a third of what there was.
func timeLeft(ctx context.Context, begun time.Time) bool {
	deadline, ok := ctx.Deadline()
	return !ok || time.Until(deadline) > min(minTurnTime, deadline.Sub(begun)/3)
}

// sweepOrder returns the secrets in the order of this sweep. It starts with the
// first one that the last sweep skipped; a process that doesn't know starts
// elsewhere each time, so that none waits forever behind the others.
func (inv *invocation) sweepOrder(e sweepEvent) ([]*rotation.Secret, error) {
	all := slices.Clone(inv.wired.Secrets)
	if e.Secret != "" {
		if s, ok := inv.wired.ByName[e.Secret]; ok {
			return []*rotation.Secret{s}, nil
		}
		return nil, &configError{rota.WithRemedies(fmt.Errorf("the configuration has no usable secret %s", e.Secret), rota.Outside(strings.Join(slices.Sorted(maps.Keys(inv.wired.ByName)), ", ")))}
	}
	if len(all) == 0 {
		return nil, nil
	}
	first := slices.IndexFunc(all, func(s *rotation.Secret) bool { return s.Name == inv.cursor })
	if first < 0 {
		first = int(inv.Now().Unix()/60) % len(all)
	}
	return slices.Concat(all[first:], all[:first]), nil
}
