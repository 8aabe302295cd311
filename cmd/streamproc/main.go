// Command streamproc runs pipelines: records from Kafka through filters and plugins, once and in order, to Kafka.
package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"
	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/logs"
)

// Exit codes.
const (
	exitFailed  = 1
	exitUsage   = 2
	exitAway    = 69
	exitInvalid = 78
)

// exit is an error with the code to leave with. An empty message was said already.
type exit struct {
	code int
	err  error
}

func (e *exit) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exit) Unwrap() error { return e.err }

func main() {
	err := root().Execute()
	if err == nil {
		return
	}
	if msg := err.Error(); msg != "" {
		fmt.Fprintln(os.Stderr, msg)
	}
	var invalid config.Problems
	var e *exit
	switch {
	case errors.As(err, &e):
		os.Exit(e.code)
	case errors.As(err, &invalid):
		os.Exit(exitInvalid)
	}
	os.Exit(exitUsage)
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "streamproc",
		Short:         "Every record once, in order, through code you wrote in any language",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.PersistentFlags().String("log-level", "", "debug, info, warn or error (default: the configuration's)")
	cmd.PersistentFlags().String("log-format", "", "text or json (default: text on a terminal, else json)")
	cmd.AddCommand(runCommand(), devCommand(), validateCommand(), schemaCommand(), benchCommand(), versionCommand(), compileCommand())
	return cmd
}

// logger writes to stderr, as the flags say, or else the configuration.
func logger(cmd *cobra.Command, t config.Telemetry) (*slog.Logger, error) {
	level, format := t.LogLevel, t.LogFormat
	if v, _ := cmd.Flags().GetString("log-level"); v != "" {
		level = v
	}
	if v, _ := cmd.Flags().GetString("log-format"); v != "" {
		format = v
	}
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, &exit{exitUsage, fmt.Errorf("--log-level %s is none of debug, info, warn, error", level)}
	}
	o := &slog.HandlerOptions{Level: l}
	if format == "text" || format == "auto" && terminal(os.Stderr) {
		return slog.New(logs.NewFold(slog.NewTextHandler(os.Stderr, o))), nil
	}
	return slog.New(logs.NewFold(slog.NewJSONHandler(os.Stderr, o))), nil
}

// flush says what the log has folded and not said yet.
func flush(log *slog.Logger) {
	if f, ok := log.Handler().(*logs.Fold); ok {
		f.Close()
	}
}

func terminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
