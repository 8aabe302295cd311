// Package fields finds the fields of JSON objects that a reader wants, in one pass that also checks that all of it is JSON.
package fields

import (
	"fmt"
	"slices"
	"unicode/utf8"
)

// Limits.
const (
	// Depth bounds the nesting of a value, unless another is given.
	Depth = 128
	// Most is how many fields may be wanted.
	Most = 64
	// NameBytes is the length of the longest name.
	NameBytes = 256

	escapedBytes = 6 * NameBytes // of a name, each byte an escape
)

// Set is the fields that a reader wants: members of the outermost object, by name. It is used by one goroutine at a time.
type Set struct {
	names   []string
	lengths uint64 // bit n: there is a name of n bytes; 63: of 63 or more
	next    int    // where the search begins
}

// New returns the set of some names. The order is that of the spans.
func New(names []string) (*Set, error) {
	if len(names) > Most {
		return nil, fmt.Errorf("%d fields are over the limit of %d", len(names), Most)
	}
	s := &Set{names: slices.Clone(names)}
	for i, name := range names {
		switch {
		case name == "" || len(name) > NameBytes || !utf8.ValidString(name):
			return nil, fmt.Errorf("field %d has a name of %d bytes; it must be text of 1 to %d", i+1, len(name), NameBytes)
		case slices.Contains(names[:i], name):
			return nil, fmt.Errorf("the field %q is wanted twice", name)
		}
		s.lengths |= 1 << min(len(name), 63)
	}
	return s, nil
}

// Names are those given to New.
func (s *Set) Names() []string { return s.names }

// Span is where the value of a field stands in its document, as it is written there. The zero value is a field that there
// is not.
type Span struct{ From, To uint32 }

// Missing says that there is no such field; one that is null is there.
func (p Span) Missing() bool { return p.To == 0 }

// Len is the length of the value.
func (p Span) Len() int { return int(p.To - p.From) }

// Find sets the spans, one for each name, to the fields of the object that doc is: all of doc is checked. The last of
// several fields of one name counts. An error is a *Fault: doc is not
// JSON, not in UTF-8, too deep, or no object.
func (s *Set) Find(doc []byte, spans []Span) error {
	clear(spans)
	c := scanner{doc: doc, depth: Depth}
	end := c.document(s, spans)
	switch {
	case end >= 0 && c.utf8():
		return nil
	case end >= 0:
		return faultf("the value is not UTF-8, so it is not JSON")
	case !c.deep && Valid(doc, Depth) == nil:
		return faultf("the value is JSON, but no object, so it has no fields")
	}
	return c.fault(end)
}

// Locate sets the spans, one for each name, to the fields of doc, and says whether it is an object. The first of several fields of
// one name counts. What keeps doc from being one JSON value is an error as Valid's. It is safe for concurrent use.
func (s *Set) Locate(doc []byte, depth int, spans []Span) (object bool, err error) {
	clear(spans)
	c, find := scanner{doc: doc, depth: depth, first: true}, *s
	i := c.space(0)
	if object = i < len(doc) && doc[i] == '{'; object {
		i = c.members(i, &find, spans)
	} else {
		i = c.value(i)
	}
	if i = c.rest(i); i < 0 {
		return false, c.fault(i)
	}
	return object, nil
}

// Valid says what keeps doc from being one JSON value that nests no deeper than depth. Strings may hold what is not UTF-8,
// as encoding/json allows.
func Valid(doc []byte, depth int) error {
	c := scanner{doc: doc, depth: depth}
	if end := c.document(nil, nil); end < 0 {
		return c.fault(end)
	}
	return nil
}

// Fault is what is wrong with a document. It does not show any of it.
type Fault struct{ what string }

func (f *Fault) Error() string { return f.what }

func faultf(format string, args ...any) error { return &Fault{fmt.Sprintf(format, args...)} }

// fault makes an error of where a walk has ended.
func (s *scanner) fault(end int) error {
	if s.deep {
		return faultf("the value nests deeper than the limit, at byte %d", ^end+1)
	}
	return faultf("the value is not JSON: it goes wrong at byte %d", ^end+1)
}
