// Package meter stands between a WebAssembly module and the compiler. Read takes a module apart and refuses, by name and
// place, what is dear to compile or not part of WebAssembly 2.0; Metered writes it anew so that whatever it does is paid
// for: fuel for instructions and bulk operations, depth for calls that may recurse, and bounds for memory and tables.
//
// # How a module pays
//
// Two globals are appended to the module and exported: fuel, and the depth of calls that are still allowed. Code
// subtracts from them as it goes and traps below zero; the host sets them between calls, and reads after a trap which
// one was spent.
//
// A region of code is paid for where it is entered: at the entry of a function, where a loop turns, and behind each place
// where control may have left, if enough follows. Coming through a loop once belongs to the region around it. Only loops
// jump backwards, so each instruction has been paid for before it runs. Code that is skipped within a region is paid for too, at most foldCost units of it.
//
// Only functions that can call themselves, directly or through others, count depth: see graph.go.
package meter

import (
	"fmt"
	"strings"
)

// The names of what a metered module exports besides its own. A module that has one of them already is refused.
const (
	FuelExport  = "__sp_fuel"  // a global, i64; 0 at first: the host sets it before anything runs
	DepthExport = "__sp_depth" // a global, i32; likewise
	StartExport = "__sp_start" // the start function, if there is one, which the host has to call: it too is paid for
)

// Caps bound the structure of a module: the compiler's time grows faster than these do. A value over its cap is refused.
type Caps struct {
	ModuleBytes  int
	Types        int
	Functions    int
	Imports      int
	Exports      int
	Globals      int
	Tables       int
	TableEntries uint32 // minimum of a table, and its maximum where the module grows it
	Elements     int    // function references in element segments
	DataSegments int
	MemoryPages  uint32 // minimum of the memory; its maximum is set to this, so that growth ends here
	Changes      int    // places that metering changes, each of which takes some twenty bytes, and in the metered module up to fifty

	// of one function
	BodyBytes int
	Params    int // and results
	Locals    uint64
	Nesting   int
	Targets   int // of all its br_table instructions
	Joins     int // places where two ways meet: ifs, loops, and blocks that are branched to
}

// Default are the caps that every toolchain's ordinary output keeps to.
func Default() Caps {
	return Caps{
		ModuleBytes: 16 << 20, Types: 10_000, Functions: 100_000, Imports: 64, Exports: 1_000, Globals: 10_000, Tables: 1, TableEntries: 100_000,
		Elements: 1_000_000, DataSegments: 200_000, MemoryPages: 512, Changes: 1_000_000,
		BodyBytes: 512 << 10, Params: 64, Locals: 10_000, Nesting: 2_000, Targets: 10_000, Joins: 5_000,
	}
}

// Large are caps for the few modules that need them, such as a language runtime with a protocol library; compiling may
// take minutes.
func Large() Caps {
	c := Default()
	c.ModuleBytes, c.Changes, c.BodyBytes, c.Nesting, c.Targets, c.Joins = 64<<20, 4_000_000, 1<<20, 10_000, 20_000, 12_000
	return c
}

// Nearest is the value of a module that comes nearest to its cap.
type Nearest struct {
	What     string
	N, Limit uint64
	Function int // index of the function that it is of, or -1
}

// Error is a module that is refused.
type Error struct {
	Section  string // where, or "" for the file as a whole
	Offset   int    // byte in the file
	Function int    // index of the function whose body it is in, or -1
	Message  string
	kind     error
}

func (e *Error) Error() string {
	var s strings.Builder
	if e.Section != "" {
		fmt.Fprintf(&s, "%s section, ", e.Section)
	}
	fmt.Fprintf(&s, "offset %#x", e.Offset)
	if e.Function >= 0 {
		fmt.Fprintf(&s, ", function %d", e.Function)
	}
	fmt.Fprintf(&s, ": %s", e.Message)
	return s.String()
}

// Unwrap returns the kind of trouble, one of the errors of this package, or nil.
func (e *Error) Unwrap() error { return e.kind }

// Kind is what an import or export is.
type Kind byte

// The kinds, as the format numbers them.
const (
	Func Kind = iota
	Table
	Memory
	Global
)

func (k Kind) String() string { return [...]string{"function", "table", "memory", "global"}[k] }

// Signature is the type of a function: value types as the format writes them.
type Signature struct{ Params, Results []byte }

// Import is what a module wants from its host.
type Import struct {
	Module, Name string
	Kind         Kind
	Type         Signature // of a function
}

// Export is what a module offers.
type Export struct {
	Name  string
	Kind  Kind
	Index uint32
}
