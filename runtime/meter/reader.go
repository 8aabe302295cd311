package meter

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// Kinds of trouble, wrapped in an Error.
var (
	ErrNotWasm     = errors.New("not WebAssembly")
	ErrTruncated   = errors.New("truncated")
	ErrComponent   = errors.New("a component, not a module: build a core module, for example for wasm32-wasip1")
	ErrUnsupported = errors.New("a feature that is not supported")
	ErrCap         = errors.New("over a limit")
)

// reader walks over a file. Its first error stays and moves it to the end, where every read gives zero: whoever loops
// asks ok.
type reader struct {
	b        []byte
	at, end  int
	section  string
	function int
	nearest  *Nearest // what came nearest to its cap so far; nil: nobody asks
	err      *Error
}

func (r *reader) ok() bool   { return r.err == nil }
func (r *reader) more() bool { return r.at < r.end && r.err == nil }

func (r *reader) fail(kind error, format string, args ...any) {
	r.failAt(r.at, kind, format, args...)
}

func (r *reader) failAt(at int, kind error, format string, args ...any) {
	if r.err == nil {
		r.err = &Error{Section: r.section, Offset: at, Function: r.function, Message: fmt.Sprintf(format, args...), kind: kind}
	}
	r.at = r.end
}

// over refuses a value above its cap.
func (r *reader) over(n, limit uint64, what string) bool {
	if n > limit {
		r.fail(ErrCap, "%d %s are over the limit of %d", n, what, limit)
	}
	if at := r.nearest; at != nil && limit > 1 && n*max(1, at.Limit) > at.N*limit {
		*at = Nearest{What: what, N: n, Limit: limit, Function: r.function}
	}
	return n > limit
}

func (r *reader) unsupported(feature string) {
	r.fail(ErrUnsupported, "it uses %s, which is not supported: build for WebAssembly 2.0", feature)
}

func (r *reader) truncated() {
	r.fail(ErrTruncated, "truncated: more bytes are announced than there are")
}

func (r *reader) byte() byte {
	if r.at >= r.end {
		r.truncated()
		return 0
	}
	b := r.b[r.at]
	r.at++
	return b
}

func (r *reader) u32() uint32 {
	if r.at < r.end && r.b[r.at] < 0x80 {
		r.at++
		return uint32(r.b[r.at-1])
	}
	n := uint32(0)
	for shift := 0; shift < 35; shift += 7 {
		b := r.byte()
		if shift == 28 && b > 0x0f {
			break
		}
		n |= uint32(b&0x7f) << shift
		if b < 0x80 {
			return n
		}
	}
	r.fail(nil, "a number does not end within 32 bits")
	return 0
}

// vector reads the number of an instruction on vectors. The engine reads one byte of it, and takes what follows for instructions of their
// own: were it longer than it has to be, code could lie in what is an operand here, and run unpaid.
func (r *reader) vector() uint32 {
	at := r.at
	n := r.u32()
	if bytes := r.at - at; r.ok() && bytes > 1 && n>>(7*(bytes-1)) == 0 {
		r.failAt(at, nil, "the number %d of an instruction on vectors is written in %d bytes", n, bytes)
	}
	return n
}

// signed skips a signed number of at most n bytes.
func (r *reader) signed(n int) {
	for range n {
		if r.byte() < 0x80 {
			return
		}
	}
	r.fail(nil, "a number does not end within %d bytes", n)
}

func (r *reader) skip(n uint64) {
	if n > uint64(r.end-r.at) {
		r.truncated()
		return
	}
	r.at += int(n)
}

// count reads the length of a vector whose items take at least one byte each: more cannot be in the file.
func (r *reader) count(limit int, what string) int {
	n := r.u32()
	if r.over(uint64(n), uint64(limit), what) {
		return 0
	}
	if int(n) > r.end-r.at {
		r.truncated()
		return 0
	}
	return int(n)
}

func (r *reader) name() string {
	n := r.u32()
	from := r.at
	r.skip(uint64(n))
	if !r.ok() {
		return ""
	}
	if b := r.b[from:r.at]; utf8.Valid(b) {
		return string(b)
	}
	r.failAt(from, nil, "a name is not UTF-8")
	return ""
}

// valueType reads one of the seven value types.
func (r *reader) valueType() byte {
	b := r.byte()
	switch b {
	case i32, i64, f32, f64, v128, funcref, externref:
	case 0x63, 0x64, 0x65, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x71, 0x72, 0x73:
		r.unsupported("a reference type of the garbage collection proposal")
	case 0x74:
		r.unsupported("exception references")
	default:
		r.fail(nil, "%#x is not a value type", b)
	}
	return b
}

// The value types.
const (
	i32       = 0x7f
	i64       = 0x7e
	f32       = 0x7d
	f64       = 0x7c
	v128      = 0x7b
	funcref   = 0x70
	externref = 0x6f
)
