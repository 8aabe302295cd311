package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/streamproc/streamproc/daemon"
	"github.com/streamproc/streamproc/workshop"
)

const (
	devMeasure = 50 * time.Millisecond // how long a generation is measured
	devShown   = 20                    // records of which the difference is shown
	devWidth   = 160                   // characters of a line
)

func pluginDevCommand() *cobra.Command {
	d := devLoop{}
	cmd := &cobra.Command{
		Use:   "dev [DIR|FILE]",
		Short: "At each save of a plugin, show what it makes otherwise of the last records",
		Long: `Build the plugin in a folder, run the last records through it, and show what it
does with them and what they cost. At each save do the same again, and show
which records come out otherwise than before: field by field, what is dropped,
comes out or fails now, and what a record costs.

A save is a change of a source, of the records or of config.json. With a FILE,
a module or script, it is a change of that: whoever builds it is somebody else.
What does not build or start leaves the generation before. INT (ctrl-C) ends it.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d.cmd, d.at = cmd, "."
			if len(args) > 0 {
				d.at = args[0]
			}
			return d.run()
		},
	}
	d.flags.add(cmd)
	cmd.Flags().StringVar(&d.in, "in", "", "records (default: in.jsonl beside the plugin)")
	cmd.Flags().IntVar(&d.last, "last", 100, "how many of the last records are tried")
	return cmd
}

// devLoop tries each generation of a plugin beside the one before it.
type devLoop struct {
	cmd   *cobra.Command
	flags moduleFlags
	at    string
	in    string
	last  int

	project *workshop.Project // nil: a file was named
	file    string
	number  int
	old     *workshop.Plugin
}

func (d *devLoop) run() error {
	if d.last < 1 {
		return misused(d.cmd, fmt.Errorf("--last %d: use 1 or more", d.last))
	}
	if err := d.find(); err != nil {
		return &exit{exitFailed, err}
	}
	signalled, stop := signals(d.cmd.Context(), others{})
	defer stop()
	ctx, cancel := context.WithCancel(signalled)
	saved := make(chan struct{}, 1)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		daemon.Watch(ctx, slog.New(slog.DiscardHandler), d.files, func() {
			select {
			case saved <- struct{}{}:
			default: // one is due already
			}
		})
	}()
	defer func() { cancel(); <-watched }()
	defer func() { d.take(nil) }()
	for {
		if err := d.round(ctx); err != nil && ctx.Err() == nil {
			fmt.Fprintf(d.cmd.OutOrStdout(), "%v\n", err)
		}
		fmt.Fprintln(d.cmd.OutOrStdout(), "waiting for a save")
		select {
		case <-ctx.Done():
			return nil
		case <-saved:
		}
	}
}

// find sees what was named: a project, or a module or script.
func (d *devLoop) find() error {
	info, err := os.Stat(d.at)
	if err != nil {
		return fmt.Errorf("finding the plugin: %w", err)
	}
	d.file = d.at
	if info.IsDir() {
		if d.project, err = workshop.FindProject(d.at); err != nil {
			return err
		}
		d.file = filepath.Join(d.project.Dir, d.project.Module)
	}
	if d.in == "" {
		d.in = workshop.Beside(d.file, "in.jsonl")
	}
	return nil
}

// files are those of which a change is a save.
func (d *devLoop) files() []string {
	files := []string{d.in, workshop.Beside(d.file, "config.json")}
	if d.project != nil {
		return append(files, d.project.Sources()...)
	}
	return append(files, d.file)
}

// round builds and loads a generation, and shows it beside the one before.
func (d *devLoop) round(ctx context.Context) (err error) {
	w := d.cmd.OutOrStdout()
	if d.project != nil {
		if err := d.project.Build(ctx, d.cmd.ErrOrStderr()); err != nil {
			return err
		}
	}
	records, err := workshop.ReadFile(d.in)
	if err != nil {
		return err
	}
	if len(records) == 0 {
		return fmt.Errorf("there are no records in %s", d.in)
	}
	all := len(records)
	records = records[max(0, all-d.last):]
	next, err := d.flags.open(d.cmd, d.file)
	if err != nil {
		return err
	}
	is, err := trial(ctx, next, records)
	if err != nil {
		return errors.Join(err, next.Close(context.WithoutCancel(ctx)))
	}
	d.number++
	fmt.Fprintf(w, "\ngeneration %d of %s, %s: the last %s of %s in %s\n", d.number, filepath.Base(d.file), next.Digest[:12], number(int64(len(records))), number(int64(all)), d.in)
	fmt.Fprintf(w, "  %s\n", is.outcome(len(records)))
	if d.old == nil {
		fmt.Fprintf(w, "  %.2f µs and %s units of fuel a record\n", is.micros(), number(int64(is.measure.FuelPerRecord)))
		d.take(next)
		return nil
	}
	was, err := trial(ctx, d.old, records)
	if err != nil { // it is the new one that counts from here on
		fmt.Fprintf(w, "  the generation before cannot be run again: %v\n", err)
		d.take(next)
		return nil
	}
	fmt.Fprintf(w, "  %.2f µs and %s units of fuel a record, before %.2f µs and %s\n", is.micros(), number(int64(is.measure.FuelPerRecord)), was.micros(), number(int64(was.measure.FuelPerRecord)))
	showDifferences(w, workshop.Differences(records, was.lines, is.lines), len(records))
	d.take(next)
	return nil
}

// take makes a generation the one that the next is compared with.
func (d *devLoop) take(next *workshop.Plugin) {
	if d.old != nil {
		_ = d.old.Close(context.WithoutCancel(d.cmd.Context())) // it has done its work
	}
	d.old = next
}

// tried is what a generation made of the records.
type tried struct {
	lines   []workshop.Line
	measure workshop.Measure
}

func trial(ctx context.Context, p *workshop.Plugin, records []workshop.Record) (t tried, err error) {
	if t.lines, err = p.Run(ctx, records); err == nil {
		t.measure, err = p.Measure(ctx, records, len(records), devMeasure)
	}
	return t, err
}

func (t *tried) micros() float64 { return t.measure.NanosPerRecord / 1000 }

// outcome counts what became of n records.
func (t *tried) outcome(n int) string {
	with, failed := map[int]bool{}, 0
	for _, l := range t.lines {
		with[l.Input] = true
		if l.Failed != "" {
			failed++
		}
	}
	return fmt.Sprintf("%s out, as %s; %d dropped, %d failed", plural(int64(len(with)-failed), "comes", "come"), plural(int64(len(t.lines)-failed), "output", "outputs"), n-len(with), failed)
}

func showDifferences(w io.Writer, list []workshop.Difference, n int) {
	if len(list) == 0 {
		fmt.Fprintf(w, "  no record comes out otherwise\n")
		return
	}
	for _, d := range list[:min(len(list), devShown)] {
		fmt.Fprintf(w, "  line %d %s\n", d.Line, d.What)
		for _, detail := range d.Detail {
			fmt.Fprintf(w, "    %s\n", cut(detail, devWidth))
		}
	}
	if more := len(list) - devShown; more > 0 {
		fmt.Fprintf(w, "  … and %s\n", plural(int64(more), "record", "records"))
	}
	turns := map[workshop.Turn]int{}
	for _, d := range list {
		turns[d.What]++
	}
	fmt.Fprintf(w, "  %d of %d records differ: %d otherwise, %d dropped, %d more come out, %d fail, %d fail no more\n", len(list), n,
		turns[workshop.Other], turns[workshop.Dropped], turns[workshop.Added], turns[workshop.Fails], turns[workshop.Heals])
}
