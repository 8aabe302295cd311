package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/daemon"
	"github.com/streamproc/streamproc/stream"
)

// kept are the flags of verbs about what a pipeline keeps outside the process.
type kept struct {
	files
	output
	yes, dryRun bool
}

func stateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "state",
		Short: "Look at what the steps of a pipeline keep in Redis, and have it derived again",
		Long: `Look at what the steps of a pipeline keep in Redis, and have it derived again.

State needs no making: a step makes it when it takes a partition over. What
Redis has lost is found, and treated as on_state_loss says.`,
	}
	cmd.AddCommand(stateShowCommand(), stateRebuildCommand(), stateDropCommand())
	return cmd
}

func stateShowCommand() *cobra.Command {
	var o kept
	cmd := &cobra.Command{
		Use:   "show PIPELINE",
		Short: "Tell what each step keeps for each partition, beside what is committed in Kafka",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.keeper(args[0], func(k *daemon.Keeper) error {
				states, err := k.States(cmd.Context())
				if err != nil {
					return err
				}
				return o.write(cmd.OutOrStdout(), states, func(w io.Writer) { stateTable(w, states) })
			})
		},
	}
	o.files.add(cmd)
	o.output.add(cmd)
	return cmd
}

func stateTable(w io.Writer, states []daemon.StepState) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "step\tpartition\tcommitted\tlog end\tbytes\tkeys\tstate")
	for _, s := range states {
		end, bytes, keys := fmt.Sprint(s.Head), fmt.Sprint(s.Bytes), ""
		if s.Verb == "reorder" {
			end, bytes, keys = "", "", fmt.Sprint(s.Keys)
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\t%s\n", s.Step, s.Partition, s.Committed, end, bytes, keys, s.Outlook)
	}
	_ = t.Flush() // the writer below tells its errors
}

func stateRebuildCommand() *cobra.Command {
	var o kept
	cmd := &cobra.Command{
		Use:   "rebuild PIPELINE",
		Short: "Have the state of a pipeline derived again from Kafka, also while it runs",
		Long: `Drop the state of a pipeline, so that its steps derive it again from the log that
Kafka retains. It may run meanwhile: it finds the loss by itself, repeats
nothing in exactly_once, and stands for as long as it reads.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.keeper(args[0], func(k *daemon.Keeper) error {
				if err := k.Rebuildable(); err != nil {
					return err
				}
				return o.confirmed(cmd, "derive the state of "+args[0]+" again", func() error { return k.Drop(cmd.Context()) })
			})
		},
	}
	o.addDangerous(cmd)
	return cmd
}

func stateDropCommand() *cobra.Command {
	var o kept
	cmd := &cobra.Command{
		Use:   "drop PIPELINE",
		Short: "Forget the state of a pipeline that does not run",
		Long: `Forget the state of a pipeline that does not run, before it is taken out of the
configuration. If it runs again, its steps do as on_state_loss says.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.keeper(args[0], func(k *daemon.Keeper) error {
				if err := k.Idle(cmd.Context()); err != nil {
					return err
				}
				return o.confirmed(cmd, "forget the state of "+args[0], func() error { return k.Drop(cmd.Context()) })
			})
		},
	}
	o.addDangerous(cmd)
	return cmd
}

func (o *kept) addDangerous(cmd *cobra.Command) {
	o.files.add(cmd)
	cmd.Flags().BoolVar(&o.yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "change nothing")
}

// confirmed does what destroys, once a person has said yes, or the flag.
func (o *kept) confirmed(cmd *cobra.Command, what string, do func() error) error {
	switch {
	case o.dryRun:
		fmt.Fprintf(cmd.ErrOrStderr(), "would %s\n", what)
		return nil
	case !o.yes:
		fmt.Fprintf(cmd.ErrOrStderr(), "%s? [y/N] ", what)
		answer, _ := bufio.NewReader(cmd.InOrStdin()).ReadString('\n') // the end of the input is no yes
		if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
			return &exit{exitFailed, errors.New("nothing was changed; --yes answers")}
		}
	}
	if err := do(); err != nil {
		return err
	}
	fmt.Fprintln(cmd.ErrOrStderr(), "done")
	return nil
}

// keeper finds a pipeline and looks after it.
func (o *kept) keeper(name string, do func(*daemon.Keeper) error) error {
	cfg, err := o.load()
	if err != nil {
		return err
	}
	p, err := pipelineNamed(cfg, name)
	if err != nil {
		return err
	}
	k, err := daemon.NewKeeper(p)
	if err != nil {
		return &exit{exitInvalid, err}
	}
	err = do(k)
	if closing := k.Close(); err == nil {
		err = closing
	}
	var code *exit
	switch {
	case err == nil || errors.As(err, &code):
		return err
	case errors.Is(err, stream.ErrUnavailable):
		return &exit{exitAway, err}
	}
	return &exit{exitFailed, err}
}

// pipelineNamed finds a pipeline, or a part of one before a step of scope global.
func pipelineNamed(cfg *config.Config, name string) (*config.Pipeline, error) {
	var names []string
	for _, p := range cfg.Pipelines {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return nil, &exit{exitUsage, fmt.Errorf("no pipeline is named %s; there are %s", name, strings.Join(names, ", "))}
}
