package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/daemon"
)

const (
	adminDefault  = "http://127.0.0.1:7480"
	statusTimeout = 10 * time.Second
	answerLimit   = 64 << 20 // bytes of an answer
)

func statusCommand() *cobra.Command {
	var url string
	var o output
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say what a running daemon does: exit 0 if every pipeline is ready, 1 if not, 69 without an answer",
		Long: `Say what a running daemon does, for each pipeline: whether it is ready and why
not, how Kafka, Redis, plugins and lag are, what each step has done since the
process began, and the ledger.

Exit 0 if every pipeline is ready, 1 if not, 69 without an answer. A token is
taken from STREAMPROC_ADMIN_TOKEN, never from the command line.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return status(cmd, url, &o) },
	}
	cmd.Flags().StringVar(&url, "admin", adminDefault, "URL of the admin endpoint")
	o.add(cmd)
	return cmd
}

func status(cmd *cobra.Command, url string, o *output) error {
	code, body, err := askAdmin(cmd, http.MethodGet, url+"/api/v1/status", statusTimeout)
	switch {
	case err != nil:
		return err
	case code != http.StatusOK:
		return &exit{exitFailed, fmt.Errorf("%s answers %d %s: %s", url, code, http.StatusText(code), strings.TrimSpace(cut(string(body), deadLength)))}
	}
	var answer struct {
		Pipelines []daemon.Status `json:"pipelines"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return &exit{exitFailed, fmt.Errorf("%s does not speak like an admin endpoint: %w", url, err)}
	}
	err = o.write(cmd.OutOrStdout(), answer, func(w io.Writer) { newShow(w, &config.Config{}).statuses(answer.Pipelines) })
	if err != nil {
		return err
	}
	for _, st := range answer.Pipelines {
		if !st.Ready {
			return &exit{exitFailed, nil}
		}
	}
	return nil
}

// statuses prints what each pipeline is doing.
func (s *show) statuses(all []daemon.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range all {
		st := &all[i]
		if i > 0 {
			s.line("")
		}
		colour, ready := green, "ready"
		if !st.Ready {
			colour, ready = red, "not ready"
		}
		s.line(s.style(bold, st.Name) + ": " + string(st.State) + ", " + s.style(colour, ready))
		if st.Why != "" {
			s.fact("  why", st.Why)
		}
		for _, what := range slices.Sorted(maps.Keys(st.Checks)) {
			s.fact("  "+what, st.Checks[what])
		}
		s.steps(st.Steps)
		for _, sink := range slices.Sorted(maps.Keys(st.Outputs)) {
			s.line(fmt.Sprintf("  %9s  to %s", number(st.Outputs[sink]), cut(sink, s.width/2)))
		}
		s.ledger(st)
	}
}
