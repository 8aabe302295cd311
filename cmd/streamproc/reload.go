package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/streamproc/streamproc/admin"
	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/daemon"
)

// reloadTimeout is how long an answer is waited for: what is drained takes its time, and a shadow too.
const reloadTimeout = 5 * time.Minute

func reloadCommand() *cobra.Command {
	var address string
	var o output
	var asked admin.Reload
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Have a running daemon take up its configuration anew: exit 0 if it has, 1 if it was refused",
		Long: `Have a running daemon read its configuration again and follow it, and say what
became of each pipeline. Everything is read, checked, compiled and tried first;
if anything is wrong, nothing changes, and the last good configuration runs on.

  unchanged  nothing of it has changed; it was not touched
  swapped    new plugins, expressions or their settings, between two checkpoints
  restarted  drained and started again: source, sinks or steps with state changed
  started    it is new
  drained    it is gone; its offsets and its state stay
  refused    it cannot follow, and with it the reload

A dedup or reorder step that would begin with another memory is refused without
--yes. Exit 0 if it was taken up, 1 if not, 69 without an answer. A token is taken
from STREAMPROC_ADMIN_TOKEN, never from the command line.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return reload(cmd, address, asked, &o) },
	}
	cmd.Flags().StringVar(&address, "admin", adminDefault, "URL of the admin endpoint")
	cmd.Flags().BoolVar(&asked.Yes, "yes", false, "steps with state may begin with another memory")
	cmd.Flags().BoolVar(&asked.Now, "now", false, "take new plugins at once, without the shadow that is configured")
	cmd.Flags().BoolVar(&asked.Rollback, "rollback", false, "go back to what ran before the last reload, whatever the files say")
	o.add(cmd)
	return cmd
}

func reload(cmd *cobra.Command, address string, asked admin.Reload, o *output) error {
	query := url.Values{}
	for name, on := range map[string]bool{"yes": asked.Yes, "now": asked.Now, "rollback": asked.Rollback} {
		query.Set(name, strconv.FormatBool(on))
	}
	code, body, err := askAdmin(cmd, http.MethodPost, address+"/api/v1/reload?"+query.Encode(), reloadTimeout)
	if err != nil {
		return err
	}
	var answer struct {
		Pipelines []daemon.Change `json:"pipelines"`
		Error     string          `json:"error,omitempty"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || code != http.StatusOK && code != http.StatusConflict {
		return &exit{exitFailed, fmt.Errorf("%s does not speak like an admin endpoint: %s", address, strings.TrimSpace(cut(string(body), deadLength)))}
	}
	if err := o.write(cmd.OutOrStdout(), answer, func(w io.Writer) { changes(w, answer.Pipelines) }); err != nil {
		return err
	}
	if answer.Error != "" {
		return &exit{exitFailed, errors.New(answer.Error)}
	}
	return nil
}

// changes prints a line for each pipeline, and below it what an operator should know.
func changes(w io.Writer, all []daemon.Change) {
	for _, c := range all {
		line := c.Pipeline + ": " + string(c.What)
		if c.Why != "" && c.What != daemon.Refused { // the error says it
			line += ", " + c.Why
		}
		fmt.Fprintln(w, line)
		for _, note := range c.Notes {
			fmt.Fprintln(w, "  "+note)
		}
	}
}

// want asks for a reload; one that waits already is enough.
func (r *service) want() {
	select {
	case r.again <- struct{}{}:
	default:
	}
}

// follow reloads whenever it is wanted, until ctx ends.
func (r *service) follow(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.again:
			r.answer(ctx, admin.Reload{}) // the daemon has logged what came of it
		}
	}
}

// answer reloads, and says what became of it.
func (r *service) answer(ctx context.Context, asked admin.Reload) admin.Reloaded {
	o := daemon.ReloadOptions{Yes: asked.Yes, Now: asked.Now || asked.Rollback} // what ran before is known, and wanted soon
	var done []daemon.Change
	var err error
	if asked.Rollback {
		done, err = r.daemon.Rollback(ctx, o)
	} else {
		done, err = r.daemon.Reload(ctx, r.read, o)
	}
	answer := admin.Reloaded{Pipelines: append([]daemon.Change{}, done...)}
	if err != nil {
		answer.Error = cmp.Or(strings.TrimSpace(err.Error()), "the reload was refused")
	}
	return answer
}

// read loads the files again, and says what of them only another start takes up.
func (r *service) read() (*config.Config, error) {
	cfg, err := r.o.load()
	if err != nil {
		return nil, err
	}
	for _, w := range cfg.Warnings {
		r.log.Warn(w.Sentence(), "file", w.File, "line", w.Line)
	}
	if !reflect.DeepEqual(cfg.Admin, r.cfg.Admin) || cfg.Telemetry != r.cfg.Telemetry || cfg.Instance != r.cfg.Instance {
		r.log.Warn("changes of admin, telemetry and instance are taken up at the next start of the process")
	}
	return cfg, nil
}

// files are those that a reload would read.
func (r *service) files() []string {
	return append(config.Files(r.o.paths), r.daemon.Files()...)
}

// askAdmin asks the admin endpoint.
func askAdmin(cmd *cobra.Command, method, address string, limit time.Duration) (code int, body []byte, err error) {
	r, err := http.NewRequestWithContext(cmd.Context(), method, address, nil)
	if err != nil {
		return 0, nil, &exit{exitUsage, fmt.Errorf("--admin: %w", err)}
	}
	if token := os.Getenv("STREAMPROC_ADMIN_TOKEN"); token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := (&http.Client{Timeout: limit}).Do(r)
	if err != nil {
		return 0, nil, &exit{exitAway, fmt.Errorf("no daemon answers; is it running, and is --admin right? %w", err)}
	}
	defer func() { _ = res.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(res.Body, answerLimit))
	switch {
	case err != nil:
		return 0, nil, &exit{exitAway, fmt.Errorf("reading the answer of %s: %w", address, err)}
	case res.StatusCode == http.StatusUnauthorized:
		return 0, nil, &exit{exitFailed, errors.New("the daemon wants a token: set STREAMPROC_ADMIN_TOKEN to that of admin.token")}
	}
	return res.StatusCode, body, nil
}
