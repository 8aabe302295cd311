package meter

// operands says what follows an opcode.
type operands byte

const (
	none operands = iota
	leb           // one unsigned number
	signed5
	signed10
	fixed1
	fixed2
	fixed4
	fixed8
	fixed16
	memory     // alignment and offset
	memoryLane // and a lane
	function
	local
	global
	label
	labels
	blockType
	indirect
	types
	refType
	refFunc
	twoLEB
	undefined operands = 255
)

// instruction describes an opcode: what follows it, what it takes from the operand stack and puts there, and its price.
type instruction struct {
	operands  operands
	pop, push byte
	cost      byte
}

// The opcodes that the pass knows by name.
const (
	opUnreachable  = 0x00
	opBlock        = 0x02
	opLoop         = 0x03
	opIf           = 0x04
	opElse         = 0x05
	opEnd          = 0x0b
	opBr           = 0x0c
	opBrIf         = 0x0d
	opBrTable      = 0x0e
	opReturn       = 0x0f
	opCall         = 0x10
	opCallIndirect = 0x11
	opSelect       = 0x1b
	opLocalGet     = 0x20
	opLocalTee     = 0x22
	opGlobalGet    = 0x23
	opGlobalSet    = 0x24
	opMemoryGrow   = 0x40
	opI32Const     = 0x41
	opI64Const     = 0x42
	opF32Const     = 0x43
	opF64Const     = 0x44
	opI32LtS       = 0x48
	opI32LeU       = 0x4d
	opI64LtS       = 0x53
	opI32Add       = 0x6a
	opI32Sub       = 0x6b
	opI32ShrU      = 0x76
	opI64Sub       = 0x7d
	opI64Mul       = 0x7e
	opF32Mul       = 0x94
	opF64Mul       = 0xa2
	opI64Extend    = 0xad
	opRefNull      = 0xd0
	opRefFunc      = 0xd2
	prefixMisc     = 0xfc
	prefixSIMD     = 0xfd

	miscMemoryInit = 8
	miscMemoryCopy = 10
	miscMemoryFill = 11
	miscTableInit  = 12
	miscTableCopy  = 14
	miscTableGrow  = 15
	miscTableFill  = 17
	simdConst      = 12
	simdF32Mul     = 230
	simdF64Mul     = 242

	emptyBlock = 0x40
)

// Prices, in units of fuel. A unit is about a simple instruction, and a nanosecond at most where an attacker has it do what
// takes longest, but for loads, which would have to cost more than real code could pay; code that was written for something is thirty times
// as fast.
const (
	costSimple = 1
	costStore  = 2
	costCall   = 4
	costFloat  = 4 // a product: of numbers below the normal ones it takes long on some processors
	costVector = 4 // what the engine makes of many instructions
	costDivide = 8
	costLoad   = 16  // from where the last one led, each out of the reach of the processor's caches
	costBulk   = 16  // and one for each 4 bytes or each table entry
	costFill   = 32  // likewise: the engine copies what it has filled, twice as much at each turn
	costGrow   = 128 // and one for each 16 bytes, which the system has to come by; or for each table entry
	costRef    = 255 // the engine is asked, in Go, which leaves garbage
)

// names of what opcodes belong to that WebAssembly 2.0 does not have.
var newer = map[byte]string{
	0x06: "exceptions", 0x07: "exceptions", 0x08: "exceptions", 0x09: "exceptions", 0x0a: "exceptions", 0x18: "exceptions",
	0x19: "exceptions", 0x1f: "exceptions", 0x12: "tail calls", 0x13: "tail calls",
	0x14: "typed function references", 0x15: "typed function references", 0xd3: "the garbage collection proposal",
	0xd4: "typed function references", 0xd5: "typed function references", 0xd6: "typed function references",
	0xfb: "the garbage collection proposal", 0xfe: "threads: atomic instructions",
}

var (
	plain = plainTable()
	misc  = miscTable()
	simd  = simdTable()
)

// fill gives the opcodes from first to last one description.
func fill(t []instruction, first, last int, i instruction) {
	for op := first; op <= last; op++ {
		t[op] = i
	}
}

func plainTable() []instruction {
	t := make([]instruction, 256)
	fill(t, 0, 255, instruction{operands: undefined})
	one := func(op int, o operands, pop, push, cost byte) { t[op] = instruction{o, pop, push, cost} }
	one(opUnreachable, none, 0, 0, costSimple)
	one(0x01, none, 0, 0, 0)
	fill(t, opBlock, opIf, instruction{blockType, 0, 0, 0})
	t[opIf] = instruction{blockType, 1, 0, costSimple}
	one(opElse, none, 0, 0, 0)
	one(opEnd, none, 0, 0, 0)
	one(opBr, label, 0, 0, costSimple)
	one(opBrIf, label, 1, 0, costSimple)
	one(opBrTable, labels, 1, 0, 2)
	one(opReturn, none, 0, 0, costSimple)
	one(opCall, function, 0, 0, costCall)
	one(opCallIndirect, indirect, 1, 0, costCall+2)
	one(0x1a, none, 1, 0, costSimple)
	one(opSelect, none, 3, 1, costSimple)
	one(0x1c, types, 3, 1, costSimple)
	one(opLocalGet, local, 0, 1, costSimple)
	one(0x21, local, 1, 0, costSimple)
	one(opLocalTee, local, 1, 1, costSimple)
	one(opGlobalGet, global, 0, 1, costSimple)
	one(opGlobalSet, global, 1, 0, costSimple)
	one(0x25, leb, 1, 1, costLoad)
	one(0x26, leb, 2, 0, costStore)
	fill(t, 0x28, 0x35, instruction{memory, 1, 1, costLoad})
	fill(t, 0x36, 0x3e, instruction{memory, 2, 0, costStore})
	one(0x3f, fixed1, 0, 1, costSimple)
	one(opMemoryGrow, fixed1, 1, 1, costGrow)
	one(opI32Const, signed5, 0, 1, costSimple)
	one(opI64Const, signed10, 0, 1, costSimple)
	one(opF32Const, fixed4, 0, 1, costSimple)
	one(opF64Const, fixed8, 0, 1, costSimple)
	fill(t, 0x45, 0xc4, instruction{none, 1, 1, costSimple})
	for _, two := range [][2]int{{0x46, 0x4f}, {0x51, 0x66}, {0x6a, 0x78}, {0x7c, 0x8a}, {0x92, 0x98}, {0xa0, 0xa6}} {
		fill(t, two[0], two[1], instruction{none, 2, 1, costSimple})
	}
	for _, divide := range []int{0x6d, 0x6e, 0x6f, 0x70, 0x7f, 0x80, 0x81, 0x82, 0x91, 0x95, 0x9f, 0xa3} {
		t[divide].cost = costDivide
	}
	t[opF32Mul].cost, t[opF64Mul].cost = costFloat, costFloat
	one(opRefNull, refType, 0, 1, costSimple)
	one(0xd1, none, 1, 1, costSimple)
	one(opRefFunc, refFunc, 0, 1, costRef)
	return t
}

func miscTable() []instruction {
	t := make([]instruction, 18)
	fill(t, 0, 7, instruction{none, 1, 1, costSimple})
	t[miscMemoryInit] = instruction{twoLEB, 3, 0, costBulk}
	t[9] = instruction{leb, 0, 0, costSimple}
	t[miscMemoryCopy] = instruction{fixed2, 3, 0, costBulk}
	t[miscMemoryFill] = instruction{fixed1, 3, 0, costFill}
	t[miscTableInit] = instruction{twoLEB, 3, 0, costBulk}
	t[13] = instruction{leb, 0, 0, costSimple}
	t[miscTableCopy] = instruction{twoLEB, 3, 0, costBulk}
	t[miscTableGrow] = instruction{leb, 2, 1, costGrow}
	t[16] = instruction{leb, 0, 1, costSimple}
	t[miscTableFill] = instruction{leb, 3, 0, costFill}
	return t
}

func simdTable() []instruction {
	t := make([]instruction, 256)
	fill(t, 0, 10, instruction{memory, 1, 1, costLoad})
	t[11] = instruction{memory, 2, 0, costStore}
	t[simdConst] = instruction{fixed16, 0, 1, costSimple}
	t[13] = instruction{fixed16, 2, 1, costSimple}
	fill(t, 14, 255, instruction{none, 2, 1, costSimple})
	for _, unary := range [][2]int{
		{15, 20}, {77, 77}, {83, 83}, {94, 100}, {103, 106}, {116, 117}, {122, 122}, {124, 129}, {131, 132}, {135, 138}, {148, 148},
		{160, 161}, {163, 164}, {167, 170}, {192, 193}, {195, 196}, {199, 202}, {224, 225}, {227, 227}, {236, 237}, {239, 239}, {248, 255},
	} {
		fill(t, unary[0], unary[1], instruction{none, 1, 1, costSimple})
	}
	for _, lane := range []int{21, 22, 24, 25, 27, 29, 31, 33} {
		t[lane] = instruction{fixed1, 1, 1, costSimple}
	}
	for _, lane := range []int{23, 26, 28, 30, 32, 34} {
		t[lane] = instruction{fixed1, 2, 1, costSimple}
	}
	t[82] = instruction{none, 3, 1, costSimple}
	fill(t, 84, 87, instruction{memoryLane, 2, 1, costLoad})
	fill(t, 88, 91, instruction{memoryLane, 2, 0, costStore})
	fill(t, 92, 93, instruction{memory, 1, 1, costLoad})
	for _, divide := range []int{227, 231, 239, 243} {
		t[divide].cost = costDivide
	}
	t[simdF32Mul].cost, t[simdF64Mul].cost = costFloat, costFloat
	for _, long := range []int{98, 127, 204, 248, 249, 251, 252} { // count bits, add in pairs, shift signs, convert and saturate
		t[long].cost = costVector
	}
	for _, free := range []int{154, 162, 165, 166, 175, 176, 178, 179, 180, 187, 194, 197, 198, 207, 208, 210, 211, 212, 226, 238} {
		t[free] = instruction{operands: undefined}
	}
	return t
}
