package fields

import (
	"encoding/binary"
	"encoding/json"
	"math/bits"
	"unicode/utf8"
)

// scanner walks over one document, once. Its methods take where something begins and return what follows it, or a
// negative place, which is the complement of where the document goes wrong.
type scanner struct {
	doc     []byte
	depth   int    // how many more levels may open
	high    uint64 // has a bit of highs if a byte above ASCII was seen
	escapes int    // seen in strings so far
	deep    bool   // it goes wrong by its depth
	first   bool   // of several members of one name the first counts, not the last
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// document is a whole document, which is one value.
func (s *scanner) document(set *Set, spans []Span) int {
	i := s.space(0)
	if set != nil {
		if i == len(s.doc) || s.doc[i] != '{' {
			return ^i
		}
		i = s.members(i, set, spans)
	} else {
		i = s.value(i)
	}
	return s.rest(i)
}

// rest makes sure that nothing follows the value that ends at i.
func (s *scanner) rest(i int) int {
	if i >= 0 {
		if i = s.space(i); i < len(s.doc) {
			return ^i
		}
	}
	return i
}

func (s *scanner) space(i int) int {
	for i < len(s.doc) && s.doc[i] <= ' ' && (s.doc[i] == ' ' || s.doc[i] == '\n' || s.doc[i] == '\t' || s.doc[i] == '\r') {
		i++
	}
	return i
}

func (s *scanner) value(i int) int {
	if i >= len(s.doc) {
		return ^i
	}
	switch s.doc[i] {
	case '"':
		return s.text(i + 1)
	case '{':
		return s.members(i, nil, nil)
	case '[':
		return s.elements(i)
	case 't':
		return s.word(i, "true")
	case 'f':
		return s.word(i, "false")
	case 'n':
		return s.word(i, "null")
	}
	return s.number(i)
}

// open counts a level, and close takes it back.
func (s *scanner) open() bool {
	s.depth--
	s.deep = s.depth < 0
	return !s.deep
}

func (s *scanner) close(i int) int {
	s.depth++
	return i + 1
}

// members is an object, whose brace is at i.
func (s *scanner) members(i int, set *Set, spans []Span) int {
	if !s.open() {
		return ^i
	}
	if i = s.space(i + 1); i < len(s.doc) && s.doc[i] == '}' {
		return s.close(i)
	}
	for {
		if i >= len(s.doc) || s.doc[i] != '"' {
			return ^i
		}
		name, escapes := i+1, s.escapes
		if i = s.text(name); i < 0 {
			return i
		}
		field := -1
		if set != nil {
			field = set.find(s.doc[name:i-1], s.escapes > escapes)
		}
		if i = s.space(i); i >= len(s.doc) || s.doc[i] != ':' {
			return ^i
		}
		from := s.space(i + 1)
		if i = s.value(from); i < 0 {
			return i
		}
		if field >= 0 && (!s.first || spans[field].Missing()) {
			spans[field] = Span{uint32(from), uint32(i)}
		}
		switch i = s.space(i); {
		case i < len(s.doc) && s.doc[i] == ',':
			i = s.space(i + 1)
		case i < len(s.doc) && s.doc[i] == '}':
			return s.close(i)
		default:
			return ^i
		}
	}
}

// elements is an array, whose bracket is at i.
func (s *scanner) elements(i int) int {
	if !s.open() {
		return ^i
	}
	if i = s.space(i + 1); i < len(s.doc) && s.doc[i] == ']' {
		return s.close(i)
	}
	for {
		if i = s.value(i); i < 0 {
			return i
		}
		switch i = s.space(i); {
		case i < len(s.doc) && s.doc[i] == ',':
			i = s.space(i + 1)
		case i < len(s.doc) && s.doc[i] == ']':
			return s.close(i)
		default:
			return ^i
		}
	}
}

// text is a string, whose content begins at i. It is read eight bytes at a time: those that end it, or are not allowed in
// it, set the high bit of their place. The lowest of these bits is right, those above it may be a borrow.
func (s *scanner) text(i int) int {
	for {
		for i+8 <= len(s.doc) {
			w := binary.LittleEndian.Uint64(s.doc[i:])
			quote, slash := w^(ones*'"'), w^(ones*'\\')
			stops := ((quote-ones)&^quote | (slash-ones)&^slash | (w-ones*' ')&^w) & highs
			s.high |= w
			if stops != 0 {
				i += bits.TrailingZeros64(stops) / 8
				break
			}
			i += 8
		}
		for i < len(s.doc) && s.doc[i] != '"' && s.doc[i] != '\\' && s.doc[i] >= ' ' {
			s.high |= uint64(s.doc[i])
			i++
		}
		switch {
		case i >= len(s.doc):
			return ^i
		case s.doc[i] == '"':
			return i + 1
		case s.doc[i] != '\\':
			return ^i
		}
		if i = s.escape(i + 1); i < 0 {
			return i
		}
	}
}

// escape is what follows a backslash.
func (s *scanner) escape(i int) int {
	s.escapes++
	if i >= len(s.doc) {
		return ^i
	}
	switch s.doc[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1
	case 'u':
		for range 4 {
			if i++; i >= len(s.doc) || !hex(s.doc[i]) {
				return ^i
			}
		}
		return i + 1
	}
	return ^i
}

func hex(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f' }

func (s *scanner) word(i int, word string) int {
	if len(s.doc)-i < len(word) || string(s.doc[i:i+len(word)]) != word {
		return ^i
	}
	return i + len(word)
}

func (s *scanner) number(i int) int {
	if s.doc[i] == '-' {
		i++
	}
	if i < len(s.doc) && s.doc[i] == '0' {
		i++
	} else if i = s.digits(i); i < 0 {
		return i
	}
	if i < len(s.doc) && s.doc[i] == '.' {
		if i = s.digits(i + 1); i < 0 {
			return i
		}
	}
	if i < len(s.doc) && s.doc[i]|0x20 == 'e' {
		if i++; i < len(s.doc) && (s.doc[i] == '+' || s.doc[i] == '-') {
			i++
		}
		return s.digits(i)
	}
	return i
}

// digits is one digit or more.
func (s *scanner) digits(i int) int {
	from := i
	for i < len(s.doc) && s.doc[i]-'0' <= 9 {
		i++
	}
	if i == from {
		return ^i
	}
	return i
}

// utf8 says that all of the document is UTF-8. Outside of strings it is ASCII, or went wrong before.
func (s *scanner) utf8() bool { return s.high&highs == 0 || utf8.Valid(s.doc) }

// find returns which field has the name, or -1. The search begins at the one after the last found: most records have their
// members in one order.
func (s *Set) find(name []byte, escaped bool) int {
	if escaped {
		var plain string
		if len(name) > escapedBytes || json.Unmarshal(append(append([]byte{'"'}, name...), '"'), &plain) != nil {
			return -1
		}
		name = []byte(plain)
	}
	if s.lengths&(1<<min(len(name), 63)) == 0 {
		return -1
	}
	for n := range s.names {
		at := s.next + n
		if at >= len(s.names) {
			at -= len(s.names)
		}
		if s.names[at] == string(name) {
			s.next = at + 1
			return at
		}
	}
	return -1
}
