package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/daemon"
	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/workshop"
)

func pluginCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plugin",
		Short: "Write, try and measure plugins",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(pluginNewCommand(), pluginDevCommand(), pluginBuildCommand(), pluginInspectCommand(), pluginCheckCommand(), pluginTestCommand(), pluginBenchCommand(),
		pluginKeyCommand(), pluginSignCommand(), pluginVerifyCommand(), pluginPushCommand(), pluginPullCommand(), pluginResolveCommand())
	return cmd
}

// moduleFlags are what a plugin is loaded with.
type moduleFlags struct {
	config string
	engine string
	memory int64
	fuel   int64
	large  bool
}

func (f *moduleFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.config, "config", "", "the plugin's configuration, as JSON (default: config.json beside it, if there)")
	cmd.Flags().Int64Var(&f.fuel, "fuel", 0, "units that one record may spend (default: that of the plugin's kind)")
	cmd.Flags().Int64Var(&f.memory, "memory", 0, "bytes of memory of one instance (default: that of the plugin's kind)")
	cmd.Flags().BoolVar(&f.large, "large", false, "hold the module to the caps of structure: large")
	cmd.Flags().StringVar(&f.engine, "engine", "", "what runs a script in Python (default: "+workshop.EngineName+" beside it; held to "+workshop.PinName+" beside that)")
}

func (f *moduleFlags) options(cmd *cobra.Command) (workshop.Options, error) {
	h, err := logHandler(cmd, cmd.ErrOrStderr(), config.Telemetry{LogLevel: "debug", LogFormat: "text"})
	if err != nil {
		return workshop.Options{}, err
	}
	o := workshop.Options{Dialects: daemon.Dialects(), CacheDir: cacheDir(), Compiler: compiler(), Logger: slog.New(h), Engine: f.engine,
		Limits: runtime.Limits{MemoryBytes: f.memory, Fuel: f.fuel, Large: f.large}}
	if f.config != "" {
		if !json.Valid([]byte(f.config)) {
			return o, misused(cmd, fmt.Errorf("--config %s is not JSON", f.config))
		}
		o.Config = json.RawMessage(f.config)
	}
	return o, nil
}

// open loads a plugin with the configuration beside it.
func (f *moduleFlags) open(cmd *cobra.Command, file string) (*workshop.Plugin, error) {
	o, err := f.options(cmd)
	if err != nil {
		return nil, err
	}
	p, err := workshop.OpenBeside(cmd.Context(), file, o)
	if err != nil {
		return nil, &exit{exitInvalid, err}
	}
	return p, nil
}

// moduleIn is the plugin of a project whose folder is named, and otherwise the file that is named.
func moduleIn(name string) (string, error) {
	if st, err := os.Stat(name); err != nil || !st.IsDir() {
		return name, nil //nolint:nilerr // opening it says what is wrong with it
	}
	p, err := workshop.FindProject(name)
	if err != nil {
		return "", &exit{exitFailed, err}
	}
	return filepath.Join(p.Dir, p.Module), nil
}

func pluginNewCommand() *cobra.Command {
	var lang *choice
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Start a plugin in a folder of its name",
		Long: `Start a plugin in a folder of its name: a source that does something small,
records to try it with, what has to come out, and the SDK of its language.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := workshop.New(".", args[0], lang.value)
			if err != nil {
				return &exit{exitFailed, err}
			}
			printProject(cmd.OutOrStdout(), p)
			return nil
		},
	}
	lang = choose(cmd, cmd.Flags(), "lang", "", "language", "ts", workshop.Languages()...)
	return cmd
}

// printProject says what to do with a new project.
func printProject(w io.Writer, p *workshop.Project) {
	lines := p.Commands()
	fmt.Fprintf(w, "%s is there. Try it:\n\n", p.Dir)
	if lines != nil {
		fmt.Fprintf(w, "  streamproc plugin build %s\n", p.Dir)
	}
	fmt.Fprintf(w, "  streamproc plugin test %s\n  streamproc plugin dev %s\n", p.Dir, p.Dir)
	if lines != nil {
		fmt.Fprint(w, "\nplugin build does this, in the folder:\n\n")
		for _, l := range lines {
			fmt.Fprintf(w, "  %s\n", l)
		}
		fmt.Fprintf(w, "\nWhere a tool is missing, %s\n", p.Remedy())
	}
	if note := p.Note(); note != "" {
		fmt.Fprintf(w, "\n%s\n", note)
	}
	fmt.Fprintf(w, "\nA pipeline that stands beside the folder has it as a step:\n\n  - transform: %s\n", p.Step())
}

func pluginBuildCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "build [DIR]",
		Short: "Build the plugin in a folder with the tools of its language",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			p, err := workshop.FindProject(dir)
			if err != nil {
				return &exit{exitFailed, err}
			}
			if p.Commands() == nil {
				fmt.Fprintf(cmd.OutOrStdout(), "%s is a script: there is nothing to build\n", p.Module)
				return nil
			}
			if err := p.Build(cmd.Context(), cmd.ErrOrStderr()); err != nil {
				return &exit{exitFailed, err}
			}
			fmt.Fprintln(cmd.OutOrStdout(), p.Module)
			return nil
		},
	}
}

func pluginInspectCommand() *cobra.Command {
	var o output
	var f moduleFlags
	cmd := &cobra.Command{
		Use:   "inspect FILE|DIR",
		Short: "Say what a plugin is: its ABI, digest, imports, exports and the fields that it wants",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			file, err := moduleIn(args[0])
			if err != nil {
				return err
			}
			p, err := f.open(cmd, file)
			if err != nil {
				return err
			}
			defer closePlugin(cmd, p, &err)
			r, err := p.Inspect(cmd.Context())
			if err != nil {
				return &exit{exitFailed, err}
			}
			return o.write(cmd.OutOrStdout(), r, func(w io.Writer) {
				fmt.Fprintf(w, "file     %s\nabi      %s\nsha256   %s\n", r.File, r.ABI, r.SHA256)
				if r.Engine != "" {
					fmt.Fprintf(w, "engine   %s, %d bytes\n", r.Engine, r.Bytes)
				} else {
					fmt.Fprintf(w, "bytes    %d\n", r.Bytes)
				}
				column(w, "imports", printable(r.Imports))
				column(w, "exports", printable(r.Exports))
				column(w, "fields", printable(r.Fields))
				if r.Trouble != "" {
					fmt.Fprintf(w, "%-8s unknown: %s\n", "fields", r.Trouble)
				}
			})
		},
	}
	f.add(cmd)
	o.add(cmd)
	return cmd
}

// printable quotes what would steer a terminal: the names in a module are its author's.
func printable(lines []string) []string {
	for i, l := range lines {
		if q := strconv.Quote(l); q != `"`+l+`"` {
			lines[i] = q
		}
	}
	return lines
}

func column(w io.Writer, name string, lines []string) {
	for i, l := range lines {
		if i > 0 {
			name = ""
		}
		fmt.Fprintf(w, "%-8s %s\n", name, l)
	}
}

// testWidth is how much of a line of wanted output is shown: a plugin gone wrong may make it of any length.
const testWidth = 400

func pluginTestCommand() *cobra.Command {
	var f moduleFlags
	var files workshop.Files
	cmd := &cobra.Command{
		Use:   "test FILE|DIR",
		Short: "Run a plugin over its records, and compare what comes out",
		Long: `Run a plugin over in.jsonl beside it, and compare what comes out with want.jsonl.

A line of records is a value, or {"key": …, "value": …, "headers": {…}, "timestamp": …}.
What comes out is a line for each output: its value, or the same form where key or
headers are not those of the input; a record that fails is "!", its reason and its
message. A filtered record leaves no line.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			file, err := moduleIn(args[0])
			if err != nil {
				return err
			}
			p, err := f.open(cmd, file)
			if err != nil {
				return err
			}
			defer closePlugin(cmd, p, &err)
			diff, err := workshop.Compare(cmd.Context(), p, file, files)
			switch {
			case err != nil:
				return &exit{exitFailed, err}
			case diff != "":
				for line := range strings.Lines(diff) {
					fmt.Fprintln(cmd.OutOrStdout(), cut(strings.TrimSuffix(line, "\n"), testWidth))
				}
				return &exit{exitFailed, fmt.Errorf("%s does not give what is wanted; if it is right, say --update", args[0])}
			}
			fmt.Fprintln(cmd.OutOrStdout(), "ok")
			return nil
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&files.In, "in", "", "records (default: in.jsonl beside FILE); - is stdin")
	cmd.Flags().StringVar(&files.Want, "want", "", "what has to come out (default: want.jsonl beside FILE)")
	cmd.Flags().BoolVar(&files.Update, "update", false, "write what comes out as what is wanted")
	return cmd
}

func pluginCheckCommand() *cobra.Command {
	var o output
	var f moduleFlags
	var in string
	cmd := &cobra.Command{
		Use:   "check FILE|DIR",
		Short: "Put a plugin through the rules that it has to keep to",
		Long: `Put a plugin through the rules that it has to keep to, with the records in
in.jsonl beside it and with odd ones: how it loads and starts, what the ABI asks
of it, and what it does to records. Each rule passes, warns, fails or is skipped,
and says why and what to do. A rule that fails makes the verb fail, a warning does
not. Below stands what a record costs: plugin bench measures for longer.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			records, p, err := f.withRecords(cmd, args[0], in)
			if err != nil {
				return err
			}
			defer closePlugin(cmd, p, &err)
			c, err := p.Check(cmd.Context(), records)
			if err != nil {
				return &exit{exitFailed, err}
			}
			if err := o.write(cmd.OutOrStdout(), c, func(w io.Writer) { printChecked(w, &c) }); err != nil {
				return err
			}
			if broken := c.Count(workshop.Fail); broken > 0 {
				return &exit{exitFailed, fmt.Errorf("%d of %d rules are broken", broken, len(c.Rules))}
			}
			return nil
		},
	}
	f.add(cmd)
	o.add(cmd)
	cmd.Flags().StringVar(&in, "in", "", "records (default: in.jsonl beside FILE); - is stdin")
	return cmd
}

const checkWidth = 88 // characters of a line of what is wrong, or of what is said beside a rule

// printChecked prints a line for each rule, and below it what is wrong and what to do.
func printChecked(w io.Writer, c *workshop.Checked) {
	name := 0
	for i := range c.Rules {
		name = max(name, len(c.Rules[i].Name))
	}
	fmt.Fprintf(w, "%s, %s\n", c.File, c.ABI)
	group := ""
	for i := range c.Rules {
		r := &c.Rules[i]
		if r.Group != group {
			group = r.Group
			fmt.Fprintf(w, "\n%s\n", group)
		}
		printRule(w, r, name)
	}
	fmt.Fprintln(w)
	if len(c.Costs) > 0 {
		printMeasures(w, c.Costs)
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "%d rules: %d pass, %d warn, %d fail, %d skipped\n", len(c.Rules), c.Count(workshop.Pass), c.Count(workshop.Warn), c.Count(workshop.Fail), c.Count(workshop.Skip))
}

func printRule(w io.Writer, r *workshop.Rule, name int) {
	word := string(r.Result)
	if r.Result == workshop.Fail {
		word = "FAIL"
	}
	switch {
	case r.Remedy != "":
		fmt.Fprintf(w, "  %s  %s\n", word, r.Name)
		for _, line := range slices.Concat(wrap(cut(r.Saw, 3*checkWidth), checkWidth), wrap("→ "+r.Remedy, checkWidth)) {
			fmt.Fprintf(w, "        %s\n", line)
		}
	case r.Saw != "":
		fmt.Fprintf(w, "  %s  %-*s  %s\n", word, name, r.Name, cut(r.Saw, checkWidth))
	default:
		fmt.Fprintf(w, "  %s  %s\n", word, r.Name)
	}
}

func (f *moduleFlags) withRecords(cmd *cobra.Command, name, in string) ([]workshop.Record, *workshop.Plugin, error) {
	file, err := moduleIn(name)
	if err != nil {
		return nil, nil, err
	}
	if in == "" {
		in = workshop.Beside(file, "in.jsonl")
	}
	records, err := workshop.ReadFile(in)
	if err != nil {
		return nil, nil, &exit{exitFailed, err}
	}
	if len(records) == 0 {
		return nil, nil, &exit{exitFailed, fmt.Errorf("%s holds no records to try the plugin with", in)}
	}
	p, err := f.open(cmd, file)
	return records, p, err
}

func pluginBenchCommand() *cobra.Command {
	var o output
	var f moduleFlags
	var in string
	var about time.Duration
	cmd := &cobra.Command{
		Use:   "bench FILE|DIR",
		Short: "Measure what a record costs, in time and fuel",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			records, p, err := f.withRecords(cmd, args[0], in)
			if err != nil {
				return err
			}
			defer closePlugin(cmd, p, &err)
			var all []workshop.Measure
			for _, n := range []int{1, 100, 1000} {
				m, err := p.Measure(cmd.Context(), records, n, about)
				if err != nil {
					return &exit{exitFailed, err}
				}
				all = append(all, m)
			}
			return o.write(cmd.OutOrStdout(), all, func(w io.Writer) { printMeasures(w, all) })
		},
	}
	f.add(cmd)
	o.add(cmd)
	cmd.Flags().StringVar(&in, "in", "", "records (default: in.jsonl beside FILE); - is stdin")
	cmd.Flags().DurationVar(&about, "time", time.Second, "how long to measure, for each size of batch")
	return cmd
}

func printMeasures(w io.Writer, all []workshop.Measure) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "batch\trecords\tµs/record\tfuel/record\tfailed\tmemory\t")
	for _, m := range all {
		fmt.Fprintf(t, "%d\t%d\t%.3f\t%.0f\t%.1f %%\t%d KiB\t\n", m.Batch, m.Records, m.NanosPerRecord/1000, m.FuelPerRecord, 100*m.FailedPerRecord, m.MemoryBytes>>10)
	}
	_ = t.Flush() // to a writer that the verb's caller owns
}

func closePlugin(cmd *cobra.Command, p *workshop.Plugin, err *error) {
	if e := p.Close(context.WithoutCancel(cmd.Context())); *err == nil && e != nil {
		*err = &exit{exitFailed, e}
	}
}
