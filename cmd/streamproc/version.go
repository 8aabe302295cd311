package main

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			info, ok := debug.ReadBuildInfo()
			if !ok {
				fmt.Fprintln(cmd.OutOrStdout(), "streamproc (unknown build)")
				return
			}
			commit := ""
			for _, s := range info.Settings {
				if s.Key == "vcs.revision" {
					commit = " " + s.Value[:min(12, len(s.Value))]
				}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "streamproc %s%s %s\n", info.Main.Version, commit, info.GoVersion)
		},
	}
}
