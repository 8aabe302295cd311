// Package sp1 is ABI sp1 for plugins of streamproc in Go. A plugin calls Handle from init, and Configure if it has a
// configuration; built with -buildmode=c-shared for wasip1 it exports the ABI, built natively it can be vetted and tested.
//
// There is no host in a native build: nothing is logged or counted, and nothing is found. A Record and Outputs are made by
// hand there, as the example does.
package sp1

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/streamproc/streamproc/runtime/abi"
)

// Verdict is the answer for a record.
type Verdict = abi.Verdict

// The verdicts.
const (
	Keep     = abi.Keep     // it goes on unchanged
	Drop     = abi.Drop     // it is filtered
	Replaced = abi.Replaced // its outputs go on in its place; none is filtered
)

// Header is one header of a record. A nil Value is null.
type Header = abi.Entry

// Output is what stands in for a record. Its Keep fields take the record's key, value or headers; InheritTime takes its
// timestamp. Put fills them in.
type Output = abi.Made

// InheritTime is the timestamp of an output that keeps its record's.
const InheritTime = abi.InheritTime

// Record is one input record. A nil Key or Value is null. Its slices are good until the handler returns.
type Record struct {
	abi.Row
	in abi.Input
	i  int
}

// Header returns the last header named key.
func (r *Record) Header(key string) (value []byte, found bool) {
	_ = r.in.Entries(r.i, func(k, v []byte) { // an entry that cannot be read is none
		if string(k) == key {
			value, found = v, true
		}
	})
	return value, found
}

// Headers returns all headers, in order.
func (r *Record) Headers() (list []Header) {
	_ = r.in.Entries(r.i, func(k, v []byte) { list = append(list, Header{Key: k, Value: v}) })
	return list
}

// Outputs collects what stands in for one record. They count only if the handler answers Replaced. The zero value is for
// tests.
type Outputs struct {
	answer *abi.Answer
	source int
}

// Put adds an output with a new value, and everything else as in the record.
func (o *Outputs) Put(value []byte) {
	o.Add(&Output{Value: value, KeepKey: true, KeepHdrs: true, Timestamp: InheritTime})
}

// PutKeyed adds an output with a new key and value.
func (o *Outputs) PutKeyed(key, value []byte) {
	o.Add(&Output{Key: key, Value: value, KeepHdrs: true, Timestamp: InheritTime})
}

// Add adds an output of any form. Its bytes are copied.
func (o *Outputs) Add(m *Output) {
	if o.answer == nil {
		o.answer = new(abi.Answer)
	}
	m.Source = o.source
	o.answer.Add(m)
}

// Values returns the values that were put, without what is null or the record's. It is for tests.
func (o *Outputs) Values() (values [][]byte) {
	if o.answer == nil {
		return nil
	}
	batch, err := abi.ParseOutput(o.answer.Bytes())
	if err != nil {
		return nil
	}
	data := batch.Detach()
	for i := range batch.Len() {
		var made abi.Produced
		if batch.At(i, &data, &made) == nil && made.Value != nil {
			values = append(values, made.Value)
		}
	}
	return values
}

// Handler is called for each record. An error sends the record to the dead letters, with its text.
type Handler func(r *Record, out *Outputs) (Verdict, error)

var (
	handler Handler = func(*Record, *Outputs) (Verdict, error) {
		return Keep, errors.New("the plugin sets no handler: call sp1.Handle from init")
	}
	configure = func([]byte) error { return nil }
)

func unset(*Record, *Outputs) (Verdict, error) {
	return Keep, errors.New("the plugin sets no handler: call sp1.Handle from init")
}

// Handle sets the handler.
func Handle(h Handler) { handler = h }

// Configure sets what is called once, before the first record, with what Start describes, as JSON. An error keeps the
// plugin from starting.
func Configure(f func(start []byte) error) { configure = f }

// Start is what a plugin is told before its first record.
type Start struct {
	Plugin  string          `json:"plugin"`
	Config  json.RawMessage `json:"config"`  // as written in the pipeline
	Topics  []string        `json:"topics"`  // Record.Topic is a position in it
	Outputs []string        `json:"outputs"` // Output.Output n is the n-th, from 1
}

// ParseStart reads what Configure hands over. A plugin that does not call it is built without encoding/json.
func ParseStart(start []byte) (s Start, err error) {
	if err := json.Unmarshal(start, &s); err != nil {
		return s, fmt.Errorf("reading the configuration: %w", err)
	}
	return s, nil
}

// Init hands the start message to what Configure has set, and answers as sp_init: 0 is ready.
func Init(start []byte, report func(i int, text string)) int32 {
	if err := configure(start); err != nil {
		report(-1, err.Error())
		return 1
	}
	return 0
}

// Process answers an input batch in place, with outputs in answer; report gets the text of failures.
func Process(buf []byte, answer *abi.Answer, report func(i int, text string)) error {
	in, err := abi.ParseInput(buf)
	if err != nil {
		return fmt.Errorf("reading the batch: %w", err)
	}
	answer.Reset()
	r, out := Record{in: in}, Outputs{answer: answer}
	for i := range in.Len() {
		in.SetCursor(i)
		if r.Row, err = in.Row(i); err != nil {
			return err
		}
		r.i, out.source = i, i
		before := answer.Mark()
		v, err := handler(&r, &out)
		if err != nil {
			v = abi.Fail
			report(i, err.Error())
		}
		if v != Replaced {
			answer.Back(before)
		}
		in.SetVerdict(i, v)
	}
	return nil
}
