// Command streamproc runs pipelines: records from Kafka through filters and plugins, once and in order, to Kafka.
package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/daemon"
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
	os.Exit(leave(root().ExecuteC()))
}

// leave says what went wrong and returns the code to leave with.
func leave(cmd *cobra.Command, err error) int {
	if err == nil {
		return 0
	}
	var invalid config.Problems
	if errors.As(err, &invalid) {
		fmt.Fprint(os.Stderr, shown(cmd, invalid))
	} else if msg := err.Error(); msg != "" {
		fmt.Fprintln(os.Stderr, strings.TrimSpace(msg))
	}
	var e *exit
	switch {
	case errors.As(err, &e):
		return e.code
	case invalid != nil:
		return exitInvalid
	}
	fmt.Fprintf(os.Stderr, "%s --help says how it is used\n", cmd.CommandPath())
	return exitUsage
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "streamproc",
		Short:             "Every record once, in order, through code you wrote in any language",
		Long:              "Every record once, in order, through code you wrote in any language.\n\n" + environmentHelp,
		SilenceUsage:      true,
		SilenceErrors:     true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return fromEnvironment(cmd) },
	}
	flags := cmd.PersistentFlags()
	choose(cmd, flags, "log-level", "", "least level that is logged (default: the configuration's)", "", "debug", "info", "warn", "error")
	choose(cmd, flags, "log-format", "", "auto is text on a terminal, else json (default: the configuration's)", "", "auto", "text", "json")
	choose(cmd, flags, "color", "", "colours in errors", "auto", "auto", "always", "never")
	cmd.SetFlagErrorFunc(misused)
	cmd.AddCommand(runCommand(), devCommand(), validateCommand(), statusCommand(), reloadCommand(), stateCommand(), offsetsCommand(), schemaCommand(), pluginCommand(), benchCommand(), versionCommand(), manCommand(), compileCommand())
	counted(cmd)
	return cmd
}

// logger writes to stderr, as the flags say, or else the configuration, and folds what comes again and again.
func logger(cmd *cobra.Command, t config.Telemetry) (*slog.Logger, error) {
	h, err := logHandler(cmd, os.Stderr, t)
	if err != nil {
		return nil, err
	}
	return slog.New(logs.NewFold(h)), nil
}

func logHandler(cmd *cobra.Command, w io.Writer, t config.Telemetry) (slog.Handler, error) {
	word := func(flag, or string) string { return cmp.Or(cmd.Flag(flag).Value.String(), or) }
	var level slog.Level
	if err := level.UnmarshalText([]byte(word("log-level", t.LogLevel))); err != nil {
		return nil, &exit{exitUsage, err}
	}
	o := &slog.HandlerOptions{Level: level}
	if format := word("log-format", t.LogFormat); format == "text" || format == "auto" && terminal(os.Stderr) {
		return slog.NewTextHandler(w, o), nil
	}
	return slog.NewJSONHandler(w, o), nil
}

// unbuilt is the error of what keeps pipelines from being built: the configuration, unless a registry is away.
func unbuilt(err error) error {
	if errors.Is(err, daemon.ErrAway) {
		return &exit{exitAway, err}
	}
	return &exit{exitInvalid, err}
}

// flush says what the log has folded and not said yet.
func flush(log *slog.Logger) {
	if f, ok := log.Handler().(*logs.Fold); ok {
		f.Close()
	}
}
