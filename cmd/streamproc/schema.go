package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/streamproc/streamproc/config"
)

func schemaCommand() *cobra.Command {
	var o output
	cmd := &cobra.Command{
		Use:   "schema [PATH]",
		Short: "Print the JSON Schema of configurations, or explain one setting",
		Long: `Print the JSON Schema of configurations for editors, or explain one setting.

PATH is that of a setting, or the end of it: pipelines.NAME.steps[].dedup.window,
steps.dedup.window, or window. All settings that end so are explained.`,
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return settingPaths(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				_, err := cmd.OutOrStdout().Write(config.JSONSchema())
				return err
			}
			return explain(cmd, args[0], &o)
		},
	}
	o.add(cmd)
	return cmd
}

func settingPaths() []string {
	var paths []string
	for _, s := range config.Settings() {
		paths = append(paths, s.Path)
	}
	return paths
}

func explain(cmd *cobra.Command, path string, o *output) error {
	found, err := config.Explain(path)
	if err != nil {
		return &exit{exitUsage, err}
	}
	return o.write(cmd.OutOrStdout(), found, func(w io.Writer) {
		for i, s := range found {
			if i > 0 {
				fmt.Fprintln(w)
			}
			fmt.Fprint(w, s)
		}
	})
}
