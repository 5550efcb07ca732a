package function

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/rota-dev/rota/internal/hint"
	"github.com/rota-dev/rota/provider"
)

// InLambda reports whether this process runs in Lambda, or in a simulation of
// it.
func InLambda() bool { return os.Getenv("AWS_LAMBDA_RUNTIME_API") != "" }

// Start processes Lambda's events until the process ends. Without providers,
// Rota's own are used. Logs go to stderr and metrics to stdout; Lambda keeps
// both. Invalid settings don't end the process, which would only be restarted:
// instead, each event gets an error that says what is wrong, which Lambda
// displays.
func Start(ctx context.Context, providers []provider.Provider, stdout, stderr io.Writer) {
	var level slog.Level
	levelErr := level.UnmarshalText([]byte(os.Getenv("ROTA_LOG_LEVEL")))
	log := slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: level, ReplaceAttr: hint.Attr}))
	if text := os.Getenv("ROTA_LOG_LEVEL"); text != "" && levelErr != nil {
		log.Warn("ROTA_LOG_LEVEL is not debug, info, warn or error: using info")
	}
	h, err := New(Options{Providers: providers, Log: log, Metrics: stdout})
	if err != nil {
		refused := fmt.Errorf("the function's settings: %w", err)
		h = &Handler{Options: Options{Log: log}, settingsErr: refused}
	}
	// The runtime prints each error, which is already in the log, as plain text
	// through package log, and so through the default logger.
	slog.SetDefault(slog.New(slog.DiscardHandler))
	lambda.StartWithOptions(h.Handle, lambda.WithContext(ctx))
}
