package main

import (
	"fmt"
	"io"

	"github.com/streamproc/streamproc/daemon"
)

// ledgers prints the account of each pipeline on a line, and those of the partitions that do not close.
func ledgers(w io.Writer, all []daemon.Status) {
	for _, s := range all {
		fmt.Fprintf(w, "%s  %s\n", s.Name, s.Ledger)
		for _, p := range s.Partitions {
			if p.Ledger.Difference() != 0 {
				fmt.Fprintf(w, "%s  %s/%d: %s\n", s.Name, p.Topic, p.ID, p.Ledger)
			}
		}
	}
}
