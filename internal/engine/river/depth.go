package river

import (
	"context"
	"fmt"

	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
)

// Jobs counts the unfinished jobs of all replicas, by River's name for their
// state.
func (s *Service) Jobs(ctx context.Context) (map[string]int, error) {
	executor := riverpgxv5.New(s.Pool).GetExecutor()
	counts := map[string]int{}
	for _, state := range unfinished {
		n, err := executor.JobCountByState(ctx, &riverdriver.JobCountByStateParams{State: state})
		if err != nil {
			return nil, fmt.Errorf("count the queue's jobs: %w", err)
		}
		counts[string(state)] = n
	}
	return counts, nil
}
