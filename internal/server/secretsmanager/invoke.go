package secretsmanager

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/rota-dev/rota"
)

// stepTimeout is the longest that a Lambda function can run.
const stepTimeout = 15 * time.Minute

// invoke makes Lambda's Invoke call. The function's response isn't kept,
// because it may contain a value.
func (s *Server) invoke(ctx context.Context, j job, step string) error {
	event, err := json.Marshal(struct {
		SecretID           string `json:"SecretId"`
		ClientRequestToken string
		Step               string
	}{j.arn, j.token, step})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, j.url, bytes.NewReader(event))
	if err != nil {
		return rota.WithRemedies(errors.New("the function's URL is invalid"), rota.Outside("correct it in the configuration"))
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Amz-Invocation-Type", "RequestResponse")
	resp, err := s.opts.Client.Do(r)
	if err != nil {
		return fmt.Errorf("call the rotation function: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("call the rotation function: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the rotation function's endpoint answered %s", resp.Status)
	}
	if resp.Header.Get("X-Amz-Function-Error") == "" {
		return nil
	}
	var failure struct {
		ErrorType string `json:"errorType"`
	}
	if json.Unmarshal(body, &failure) != nil || failure.ErrorType == "" || len(failure.ErrorType) > 100 {
		failure.ErrorType = resp.Header.Get("X-Amz-Function-Error")
	}
	return rota.WithRemedies(fmt.Errorf("the rotation function failed: %s", failure.ErrorType), rota.Outside("look at the function's log"))
}
