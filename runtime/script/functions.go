package script

import "fmt"

// Functions are what a script has.
type Functions struct {
	Filter  bool
	Map     bool
	FlatMap bool `json:"flat_map"`
	Record  bool // one of them looks at the record, not at its value alone
}

// Bits of what an engine tells of a script, where it tells it as a number.
const (
	filterBit = 1 << iota
	mapBit
	flatMapBit
	recordBit
)

// FunctionsOf reads such a number.
func FunctionsOf(bits int) Functions {
	return Functions{bits&filterBit != 0, bits&mapBit != 0, bits&flatMapBit != 0, bits&recordBit != 0}
}

// Suit says what a script lacks, or has too much of, for a step: one that only filters, or a transform. flatMap is what its
// language calls that.
func (f Functions) Suit(script, flatMap string, onlyFilter bool) error {
	switch {
	case f.Map && f.FlatMap:
		return fmt.Errorf("%s has map and %s; it must be one of them", script, flatMap)
	case !f.Filter && !f.Map && !f.FlatMap:
		return fmt.Errorf("%s has none of the functions filter, map and %s", script, flatMap)
	case onlyFilter && (f.Map || f.FlatMap):
		return fmt.Errorf("%s has map or %s; use it as a transform", script, flatMap)
	}
	return nil
}
