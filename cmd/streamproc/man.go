package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func manCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write a manual page for each verb into a folder",
		Long: `Write a manual page for each verb into a folder, which is made if it is not there:

  streamproc man /usr/local/share/man/man1`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return &exit{exitFailed, fmt.Errorf("making the folder: %w", err)}
			}
			top := cmd.Root()
			top.DisableAutoGenTag = true // the same verbs give the same pages
			if err := doc.GenManTree(top, &doc.GenManHeader{Section: "1", Source: "streamproc", Manual: "streamproc"}, args[0]); err != nil {
				return &exit{exitFailed, fmt.Errorf("writing manual pages: %w", err)}
			}
			return nil
		},
	}
}
