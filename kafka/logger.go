package kafka

import (
	"context"
	"log/slog"

	"github.com/twmb/franz-go/pkg/kgo"
)

// logger hands franz-go's own log to slog, one level lower: what an operator must act on is said by the worker.
type logger struct{ *slog.Logger }

func (l logger) Level() kgo.LogLevel {
	switch {
	case l.Enabled(context.Background(), slog.LevelDebug):
		return kgo.LogLevelInfo
	case l.Enabled(context.Background(), slog.LevelInfo):
		return kgo.LogLevelWarn
	}
	return kgo.LogLevelError
}

func (l logger) Log(level kgo.LogLevel, msg string, kv ...any) {
	to := slog.LevelDebug
	if level == kgo.LogLevelError {
		to = slog.LevelInfo
	}
	l.Logger.Log(context.Background(), to, "kafka client: "+msg, kv...)
}
