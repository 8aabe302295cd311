// Package sp1 is ABI sp1 for plugins in Go. A plugin calls Handle from init; built with -buildmode=c-shared for wasip1
// it exports the ABI, built natively it can be vetted and tested.
package sp1

import (
	"fmt"

	"github.com/streamproc/streamproc/runtime/abi"
)

// Verdict is the answer for a record.
type Verdict = abi.Verdict

// The verdicts.
const (
	Keep     = abi.Keep
	Drop     = abi.Drop
	Replaced = abi.Replaced
)

// Handler is called for each record. The slices of r are good until it returns; put adds an output with a new value and
// everything else as in the record. An error sends the record to the dead letters, and its outputs must not be put.
type Handler func(r *abi.Row, put func(value []byte)) (Verdict, error)

var handler Handler

// Handle sets the handler.
func Handle(h Handler) { handler = h }

// Process answers an input batch in place, with outputs in out; report gets the text of failures.
func Process(buf []byte, out *abi.Answer, report func(i int, text string)) error {
	in, err := abi.ParseInput(buf)
	if err != nil {
		return fmt.Errorf("reading the batch: %w", err)
	}
	out.Reset()
	source := 0
	put := func(value []byte) {
		out.Add(&abi.Made{Source: source, Value: value, KeepKey: true, KeepHdrs: true, Timestamp: abi.InheritTime})
	}
	for i := range in.Len() {
		in.SetCursor(i)
		row, err := in.Row(i)
		if err != nil {
			return err
		}
		source = i
		v, err := handler(&row, put)
		if err != nil {
			v = abi.Fail
			report(i, err.Error())
		}
		in.SetVerdict(i, v)
	}
	return nil
}
