package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/streamproc/streamproc/config"
)

// output is how a verb prints its data.
type output struct{ *choice }

func (o *output) add(cmd *cobra.Command) {
	o.choice = choose(cmd, cmd.Flags(), "output", "o", "how data is printed", "table", "table", "json", "yaml")
}

// write prints v for programs, or what table prints for people.
func (o *output) write(w io.Writer, v any, table func(io.Writer)) error {
	var text []byte
	var err error
	switch o.value {
	case "json":
		text, err = json.MarshalIndent(v, "", "  ")
		text = append(text, '\n')
	case "yaml":
		text, err = config.YAML(v)
	default:
		table(w)
		return nil
	}
	if err == nil {
		_, err = w.Write(text)
	}
	if err != nil {
		return &exit{exitFailed, fmt.Errorf("printing: %w", err)}
	}
	return nil
}

// shown renders problems for stderr.
func shown(cmd *cobra.Command, problems config.Problems) string {
	return problems.Text(colorful(cmd.Flag("color").Value.String(), os.Stderr))
}

// colorful says whether what goes to f is coloured.
func colorful(mode string, f *os.File) bool {
	switch mode {
	case "always":
		return true
	case "never":
		return false
	}
	return os.Getenv("NO_COLOR") == "" && terminal(f)
}

func terminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
