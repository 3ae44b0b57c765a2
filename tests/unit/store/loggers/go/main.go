// Two lines of each logger: a warning, and an error with an exception, both of a trace.
package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/pkg/errors"
	"github.com/rs/zerolog"
	"github.com/rs/zerolog/pkgerrors"
	"go.uber.org/zap"
)

func buy() error { return errors.New("gone") }

func withSlog(trace, span string) {
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil)).With("trace_id", trace, "span_id", span)
	log.Warn("low stock", "left", 2)
	log.ErrorContext(context.Background(), "no stock", "err", buy())
}

func withZap(trace, span string) {
	configuration := zap.NewProductionConfig()
	configuration.OutputPaths = []string{"stdout"}
	log := zap.Must(configuration.Build()).With(zap.String("trace_id", trace), zap.String("span_id", span))
	log.Warn("low stock", zap.Int("left", 2))
	log.Error("no stock", zap.Error(buy()))
}

func withZerolog(trace, span string) {
	zerolog.ErrorStackMarshaler = pkgerrors.MarshalStack
	log := zerolog.New(os.Stdout).With().Timestamp().Str("trace_id", trace).Str("span_id", span).Logger()
	log.Warn().Int("left", 2).Msg("low stock")
	log.Error().Stack().Err(buy()).Msg("no stock")
}

func main() {
	loggers := map[string]func(string, string){"slog": withSlog, "zap": withZap, "zerolog": withZerolog}
	loggers[os.Args[1]](os.Getenv("TRACE"), os.Getenv("SPAN"))
}
