package river

import (
	"context"
	"fmt"
	"net/http"

	"riverqueue.com/riverui"
)

// UI is the queue's page, to be mounted under a prefix such as "/admin/queue"
// without stripping it. Anyone who can see it can cancel jobs and pause queues,
// so it must be shown to administrators only. Its background work ends with
// ctx.
func (s *Service) UI(ctx context.Context, prefix string) (http.Handler, error) {
	handler, err := riverui.NewHandler(&riverui.HandlerOpts{
		Endpoints: riverui.NewEndpoints(s.client, nil), Logger: s.Log, Prefix: prefix,
	})
	if err != nil {
		return nil, fmt.Errorf("the queue's page: %w", err)
	}
	if err := handler.Start(ctx); err != nil {
		return nil, fmt.Errorf("the queue's page: %w", err)
	}
	return handler, nil
}
