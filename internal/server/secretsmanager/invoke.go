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
	kind := failure(resp.Header.Get("X-Amz-Function-Error"), body)
	if kind == "" {
		return nil
	}
	return rota.WithRemedies(fmt.Errorf("the rotation function failed: %s", kind), rota.Outside("look at the function's log"))
}

// failure is the type of the error in an answer, "" if the function succeeded. Lambda
// marks a failure in a header. Its runtime emulator doesn't: there, only the body
// differs.
func failure(mark string, body []byte) string {
	body = bytes.TrimSpace(body)
	var said struct {
		ErrorType    string          `json:"errorType"`
		ErrorMessage json.RawMessage `json:"errorMessage"`
	}
	valid := len(body) == 0 || json.Valid(body)
	_ = json.Unmarshal(body, &said) // what isn't an object says nothing
	switch {
	case said.ErrorType != "" && len(said.ErrorType) <= 100:
		return said.ErrorType
	case mark != "":
		return mark
	case said.ErrorType != "", said.ErrorMessage != nil:
		return "an error without a type"
	case !valid: // such as "Task timed out"
		return "an answer that isn't JSON"
	}
	return ""
}
