package main

import (
	"os"

	"github.com/spf13/cobra"
	"github.com/streamproc/streamproc/daemon"
)

const compileVerb = "compile-module"

// compiler is the command with which this process has a module compiled in a child.
func compiler() []string {
	self, err := os.Executable()
	if err != nil {
		return nil // compiled here then, within the caps of the module's structure
	}
	return []string{self, compileVerb}
}

// compileCommand is that child.
func compileCommand() *cobra.Command {
	return &cobra.Command{
		Use:    compileVerb + " DIR SECONDS BYTES",
		Short:  "Compile the metered module on stdin into a cache, within limits",
		Hidden: true,
		Args:   cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			if code := daemon.CompileModule(cmd.Context(), args, cmd.InOrStdin(), cmd.ErrOrStderr()); code != 0 {
				return &exit{code: code}
			}
			return nil
		},
	}
}
