package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

func versionCommand() *cobra.Command {
	var o output
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := built()
			return o.write(cmd.OutOrStdout(), v, func(w io.Writer) {
				fmt.Fprintln(w, strings.Join(strings.Fields(fmt.Sprintf("streamproc %s %.12s %s", v.Version, v.Commit, v.Go)), " "))
			})
		},
	}
	o.add(cmd)
	return cmd
}
