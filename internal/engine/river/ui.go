package river

import (
	"context"
	"fmt"
	"net/http"

	"riverqueue.com/riverui"
)

// UI is the page of the queue, to be mounted under a prefix such as
// "/admin/queue", without its end stripped off. It lets whoever sees it cancel
// jobs and pause queues: it must be shown to administrators only. What it has
// running in the background ends with ctx.
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
