package function

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/rota-dev/rota/provider"
)

// InLambda tells whether this process runs in Lambda, or in what plays it.
func InLambda() bool { return os.Getenv("AWS_LAMBDA_RUNTIME_API") != "" }

// Start takes events from Lambda until the process ends. No providers are Rota's
// own. Logs go to stderr and
// metrics to stdout; Lambda keeps both. Wrong settings do not end the process:
// each event is answered with what is wrong, which Lambda shows, and a process
// that ends at its start is only started again.
func Start(ctx context.Context, providers []provider.Provider, stdout, stderr io.Writer) {
	var level slog.Level
	levelErr := level.UnmarshalText([]byte(os.Getenv("ROTA_LOG_LEVEL")))
	log := slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: level}))
	if text := os.Getenv("ROTA_LOG_LEVEL"); text != "" && levelErr != nil {
		log.Warn("ROTA_LOG_LEVEL is none of debug, info, warn and error: info is used")
	}
	h, err := New(Options{Providers: providers, Log: log, Metrics: stdout})
	if err != nil {
		refused := fmt.Errorf("the function's settings: %w", err)
		h = &Handler{Options: Options{Log: log}, settingsErr: refused}
	}
	// The runtime repeats each error, which the log has, as plain text by way of
	// the package log, and so by the default logger.
	slog.SetDefault(slog.New(slog.DiscardHandler))
	lambda.StartWithOptions(h.Handle, lambda.WithContext(ctx))
}
