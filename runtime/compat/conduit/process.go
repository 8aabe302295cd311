package conduit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/stream"
)

// Process implements runtime.Session. A processor answers records in their order, and may stop early: those that it has
// not answered go to it again. A single error may be meant for any of them, so that the first is asked about alone.
func (s *session) Process(ctx context.Context, c *runtime.Call) error {
	todo := s.gather(c)
	for n := len(todo); len(todo) > 0; {
		part := todo[:n]
		c.At(part[n/2]) // any may be to blame: half of them are tried next
		r, err := s.ask(ctx, processRequest(c, part), n)
		if err != nil {
			return err
		}
		answers := r.answers
		switch {
		case n == 1 && len(answers) == 0:
			c.Fail(part[0], stream.ReasonContract, "the processor does not answer the record")
			answers = []answer{{}}
		case n > 1 && s.ambiguous(answers):
			c.Forgot() // it has seen records that come again
			n = 1
			continue
		default:
			for k, a := range answers {
				s.answer(c, part[k], a)
			}
		}
		todo = todo[len(answers):]
		n = min(len(todo), 2*len(answers))
	}
	return nil
}

// ambiguous says whether answers to several records leave open whose failure it is.
func (s *session) ambiguous(answers []answer) bool {
	fails := slices.ContainsFunc(answers, func(a answer) bool { return a.kind == failed })
	return len(answers) == 0 || fails && (len(answers) == 1 || s.refused != "")
}

// gather lists the records that can be written as Conduit has them.
func (s *session) gather(c *runtime.Call) []int {
	s.todo = s.todo[:0]
	for i := range c.Len() {
		if name, ok := textual(c.Record(i)); !ok {
			c.Fail(i, stream.ReasonDecode, fmt.Sprintf("the header %q is no UTF-8, and Conduit's metadata is text", name))
			continue
		}
		s.todo = append(s.todo, i)
	}
	return s.todo
}

// textual names a header that is no text, if there is one.
func textual(r *stream.Record) (string, bool) {
	for i := range r.Headers {
		if h := &r.Headers[i]; !utf8.ValidString(h.Key) || !utf8.Valid(h.Value) {
			return h.Key, false
		}
	}
	return "", true
}

// answer gives one answer to its record.
func (s *session) answer(c *runtime.Call, i int, a answer) {
	switch filter := s.host.Mode() == runtime.Filter; {
	case a.kind == filtered:
		c.Drop(i)
	case a.kind == failed:
		c.Fail(i, stream.ReasonError, s.excuse(a.text))
	case a.kind == single && filter:
		c.Keep(i)
	case filter:
		c.Fail(i, stream.ReasonContract, "the processor makes several records of one; use it as a transform")
	default:
		for _, b := range a.records {
			r, err := output(c, i, b)
			if err != nil {
				reason := stream.ReasonContract
				if errors.Is(err, errNoOutput) {
					reason = stream.ReasonError
				}
				c.Fail(i, reason, fmt.Sprintf("the processor's record cannot be taken: %v", err))
				return
			}
			c.Emit(i, r)
		}
	}
}

var errNoOutput = errors.New("its step has no output of the name")

// output makes a record of what came back for record i.
func output(c *runtime.Call, i int, b []byte) (*stream.Record, error) {
	read, err := readRecord(b)
	if err != nil {
		return nil, err
	}
	r := *c.Record(i)
	if to, ok := read.metadata[collection]; ok && to != r.Origin.Topic {
		sink, ok := c.Output(to)
		if !ok {
			return nil, fmt.Errorf("%w of its collection %q", errNoOutput, to)
		}
		r.Sink = sink
	}
	r.Headers = headers(&r, read.metadata)
	r.Key, r.Value, r.JSON = read.key, read.value, stream.JSONUnknown
	return &r, nil
}
