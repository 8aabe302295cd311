package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/streamproc/streamproc/config"
)

// choice is a flag that takes one of several words; the first is the default unless it is set.
type choice struct {
	words []string
	value string
}

func (c *choice) String() string { return c.value }

// Type implements pflag.Value.
func (c *choice) Type() string { return "word" }

// Set implements pflag.Value.
func (c *choice) Set(v string) error {
	if !slices.Contains(c.words, v) {
		return errors.New("use " + strings.Join(c.words, ", "))
	}
	c.value = v
	return nil
}

// choose adds a flag that takes one of several words, and completes them.
func choose(cmd *cobra.Command, flags *pflag.FlagSet, name, short, usage, value string, words ...string) *choice {
	c := &choice{words: words, value: value}
	flags.VarP(c, name, short, usage+": "+strings.Join(words, ", "))
	_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	return c
}

// files are the flags that say what is read as the configuration.
type files struct{ paths, set []string }

func (f *files) add(cmd *cobra.Command) {
	cmd.Flags().StringSliceVarP(&f.paths, "config", "c", []string{"pipelines.yaml"}, "file, or folder of *.yaml")
	cmd.Flags().StringArrayVar(&f.set, "set", nil, "PATH=VALUE, instead of what the files say, such as pipelines.NAME.workers=4; no secrets")
	_ = cmd.MarkFlagFilename("config", "yaml") // the flag is there
}

func (f *files) load() (*config.Config, error) {
	return config.Load(config.Options{Paths: f.paths, Set: f.set})
}

const environmentHelp = `Each flag has a variable: STREAMPROC_LOG_LEVEL stands for --log-level, and
STREAMPROC_PLUGIN_TEST_CONFIG for --config of "plugin test". A flag goes before
a variable, a variable before the configuration.`

// variable is the environment's name for a flag. Verbs share their variables, as they share their flags; those of a verb
// below another mean something else by the same names, and have variables of their own.
func variable(cmd *cobra.Command, flag string) string {
	words := []string{"streamproc"}
	if own := cmd.HasParent() && cmd.Parent().HasParent(); own && cmd.Root().PersistentFlags().Lookup(flag) == nil {
		words = strings.Fields(cmd.CommandPath())
	}
	return strings.ToUpper(strings.ReplaceAll(strings.Join(append(words, flag), "_"), "-", "_"))
}

// fromEnvironment sets the flags that were not given from the environment. A flag that may be given several times takes
// one value a line.
func fromEnvironment(cmd *cobra.Command) error {
	var errs []error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		v, there := os.LookupEnv(variable(cmd, f.Name))
		if !there || f.Changed || f.Name == "help" {
			return
		}
		values := []string{v}
		if _, several := f.Value.(pflag.SliceValue); several {
			values = strings.Split(strings.TrimSpace(v), "\n")
		}
		for _, v := range values {
			if err := cmd.Flags().Set(f.Name, v); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", variable(cmd, f.Name), err))
			}
		}
	})
	if len(errs) > 0 {
		return &exit{exitUsage, errors.Join(errs...)}
	}
	return nil
}

// misused says how a verb is used, after what was wrong.
func misused(cmd *cobra.Command, err error) error {
	return &exit{exitUsage, fmt.Errorf("%w\n%s --help says how it is used", err, cmd.CommandPath())}
}

// counted has a verb that is given too many arguments, or too few, say what it wants.
func counted(cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		counted(c)
	}
	fits := cmd.Args
	if fits == nil || len(cmd.Commands()) > 0 {
		return
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if fits(cmd, args) == nil {
			return nil
		}
		return fmt.Errorf("%s given: write %s", plural(int64(len(args)), "argument is", "arguments are"), strings.TrimSuffix(cmd.UseLine(), " [flags]"))
	}
}
