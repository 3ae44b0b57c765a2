// Billing: the stock SDK with its HTTP instrumentation, and slog's JSON lines.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/metric"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

var client = http.Client{Transport: otelhttp.NewTransport(http.DefaultTransport)}

func main() {
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stdout, nil)))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	flush := observe(ctx)

	http.Handle("POST /bills/{thing}", otelhttp.NewHandler(http.HandlerFunc(bill), "POST /bills/{thing}"))
	server := http.Server{Addr: "127.0.0.1:" + os.Getenv("PORT")}
	go func() {
		if err := server.ListenAndServe(); err != http.ErrServerClosed {
			slog.Error("cannot serve", "err", err)
			os.Exit(1)
		}
	}()
	<-ctx.Done()
	_ = server.Shutdown(context.Background())
	flush()
}

// observe sends spans and metrics to where the standard variables say.
func observe(ctx context.Context) func() {
	spans, err := otlptracehttp.New(ctx)
	if err != nil {
		panic(err)
	}
	measures, err := otlpmetrichttp.New(ctx)
	if err != nil {
		panic(err)
	}
	traces := sdk.NewTracerProvider(sdk.WithBatcher(spans))
	metrics := metric.NewMeterProvider(metric.WithReader(metric.NewPeriodicReader(measures)))
	otel.SetTracerProvider(traces)
	otel.SetMeterProvider(metrics)
	otel.SetTextMapPropagator(propagation.TraceContext{})
	return func() {
		_ = traces.Shutdown(context.Background())
		_ = metrics.Shutdown(context.Background())
	}
}

// bill has a parcel made and says what it wrote.
func bill(answer http.ResponseWriter, request *http.Request) {
	ctx, thing := request.Context(), request.PathValue("thing")
	id := trace.SpanContextFromContext(ctx)
	slog.InfoContext(ctx, "a bill is written", "thing", thing, "trace_id", id.TraceID(), "span_id", id.SpanID())
	order, _ := http.NewRequestWithContext(ctx, http.MethodPost, os.Getenv("PARCELS_URL")+"/parcels", nil)
	made, err := client.Do(order)
	if err != nil {
		http.Error(answer, err.Error(), http.StatusBadGateway)
		return
	}
	defer made.Body.Close()
	text, _ := io.ReadAll(made.Body)
	fmt.Fprintf(answer, "billed, %s", text)
}
