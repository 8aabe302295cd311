package stream

// Fate is what became of a record. Every input has one in the end, and the ledger counts it:
// in = out + filtered + duplicates + late + dead-lettered, and what is held.
type Fate uint8

// The fates. Their order is the order of precedence among the outputs of one input (Family): an input is out if any of
// its outputs is.
const (
	Flowing      Fate = iota // still on its way
	Replayed                 // read again after a restart, and settled before it: counted nowhere
	Filtered                 // a filter said no, a transform made nothing of it, no route matched, on_error: drop, or a dead letter too often
	Duplicate                // dedup or reorder has seen it before
	Late                     // its turn had passed when it came
	DeadLettered             // it could not be processed
	Out                      // written to a sink
)

var fateNames = [...]string{"flowing", "replayed", "filtered", "duplicate", "late", "dead_lettered", "out"}

// Fates is the number of fates, for arrays indexed by Fate.
const Fates = len(fateNames)

func (f Fate) String() string { return fateNames[f] }

// Family counts the outputs of one input that are not settled yet, where a transform made several of it. It belongs to
// the worker that owns the input's partition.
type Family struct {
	Left int  // outputs still flowing or held
	Best Fate // the most telling fate so far
}

// Settle notes the fate of one output. It returns the fate of the input, and whether that is decided now.
func (f *Family) Settle(fate Fate) (Fate, bool) {
	f.Left--
	f.Best = max(f.Best, fate)
	return f.Best, f.Left == 0
}

// Reason is the kind of trouble that sent a record to the dead letters, as written into the header sp-reason.
type Reason string

// The reasons.
const (
	ReasonDecode   Reason = "decode"   // the value is not what the source says it is, or a field is missing or of a wrong kind
	ReasonError    Reason = "error"    // a plugin or expression refused the record
	ReasonTrap     Reason = "trap"     // a plugin trapped on it
	ReasonFuel     Reason = "fuel"     // a plugin spent more on it than it may
	ReasonDepth    Reason = "depth"    // a plugin's calls went too deep on it
	ReasonContract Reason = "contract" // a plugin broke the ABI on it
	ReasonOutput   Reason = "output"   // what a plugin made of it is over a limit
	ReasonLimit    Reason = "limit"    // the record itself is over a limit, or a plugin was at it
	ReasonLate     Reason = "late"     // reorder: its turn had passed
	ReasonGap      Reason = "gap"      // reorder: it waited behind a gap, and on_gap is dlq
	ReasonProduce  Reason = "produce"  // the broker refuses the record for good, e.g. as too large
)

// Cause says why a record goes to the dead letters. A Cause is immutable and may be shared by records.
type Cause struct {
	Step     string // name of the step
	Reason   Reason
	Message  string // a sentence for people; never record bytes
	Plugin   string // hex SHA-256 of the module, where a plugin is involved
	Attempts int    // how often it was tried; 0 counts as 1
}
