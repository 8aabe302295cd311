package meter

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/internal/hostile"
	"github.com/tetratelabs/wazero"
)

// immediate is what follows an opcode, all of it zero but where there has to be something.
func (o operands) immediate(op byte) []byte {
	switch o {
	case none:
		return nil
	case fixed2, memory, twoLEB:
		return []byte{0, 0}
	case memoryLane:
		return []byte{0, 0, 0}
	case fixed4:
		return make([]byte, 4)
	case fixed8:
		return make([]byte, 8)
	case fixed16:
		return make([]byte, 16)
	case refType:
		return []byte{funcref}
	case types:
		return []byte{1, i32}
	}
	return []byte{0}
}

// TestTheTablesSayWhatTheEngineTakes gives each instruction as many operands as the tables say, of all types that there are, and drops
// as many results: the engine takes it with one choice of types, and with none where the tables are wrong. What a call weighs rests
// on that.
func TestTheTablesSayWhatTheEngineTakes(t *testing.T) {
	engine := wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfigInterpreter())
	defer engine.Close(t.Context())
	kinds := []byte{i32, i64, f32, f64, v128, funcref}
	taken := func(operands []byte, code []byte) bool {
		var m hostile.Module
		m.Memory(1, 2)
		m.Table(1, 2)
		m.Global()
		m.PassiveData(nil)
		groups := hostile.U(uint64(len(operands)))
		for _, kind := range operands {
			groups = append(groups, 1, kind)
		}
		m.Elements(m.FuncWith(":", groups, code))
		c, err := engine.CompileModule(t.Context(), m.Bytes())
		return err == nil && c.Close(t.Context()) == nil
	}
	fits := func(i *instruction, opcode []byte) bool {
		var code []byte
		for n := range i.pop {
			code = append(code, opLocalGet, n)
		}
		code = hostile.Code(code, opcode, i.operands.immediate(opcode[0]), hostile.Repeat(int(i.push), hostile.Code(hostile.Drop)))
		all := 1
		for range i.pop {
			all *= len(kinds)
		}
		for n := range all {
			var operands []byte
			for range i.pop {
				operands, n = append(operands, kinds[n%len(kinds)]), n/len(kinds)
			}
			if len(operands) == 0 {
				operands = []byte{i32} // what reads or writes a local
			}
			if taken(operands, code) {
				return true
			}
		}
		return false
	}
	flow := []byte{opBlock, opLoop, opIf, opElse, opEnd, opBr, opBrIf, opBrTable, opReturn, opCall, opCallIndirect, prefixMisc, prefixSIMD}
	for _, table := range []struct {
		prefix []byte
		of     []instruction
	}{{nil, plain}, {[]byte{prefixMisc}, misc}, {[]byte{prefixSIMD}, simd}} {
		for op := range table.of {
			i := &table.of[op]
			if i.operands == undefined || table.prefix == nil && slices.Contains(flow, byte(op)) {
				continue
			}
			opcode := append(table.prefix[:len(table.prefix):len(table.prefix)], byte(op))
			if table.prefix != nil {
				opcode = hostile.Code(table.prefix, hostile.U(uint64(op)))
			}
			if i.cost == 0 && (table.prefix != nil || op != hostile.Nop) {
				t.Errorf("instruction %#x costs nothing", opcode)
			}
			if !fits(i, opcode) {
				t.Errorf("instruction %#x does not take %d operands and give %d results", opcode, i.pop, i.push)
			}
		}
	}
}

// TestNoCodeHidesInOperands writes the numbers of instructions on vectors longer than they have to be. The engine takes the second byte of such a
// number, and the operands, for instructions; what is in these sixteen bytes was a loop that nothing ended.
func TestNoCodeHidesInOperands(t *testing.T) {
	loop := hostile.Code(hostile.Loop, hostile.Empty, get, hostile.Const(1), hostile.I32Sub, hostile.LocalTee, 0, hostile.BrIf, 0, hostile.End)
	var m hostile.Module
	m.Func("i:", 0, block(hostile.Br, 0, prefixSIMD, simdConst|0x80, 0, hostile.End, loop, hostile.Block, hostile.Empty))
	if _, err := Read(m.Bytes(), Default()); err == nil {
		t.Error("a loop in a constant is let pass")
	}
	for op := range simd {
		short := hostile.U(uint64(op))
		for zeros := range 5 - len(short) {
			long := slices.Clone(short)
			long[len(long)-1] |= 0x80
			long = append(append(long, bytes.Repeat([]byte{0x80}, zeros)...), 0)
			_, err := Read(hostile.Function(0, hostile.Code(hostile.Unreachable, prefixSIMD, long, make([]byte, 20))), Default())
			if err == nil || !strings.Contains(err.Error(), "of an instruction on vectors is written in") {
				t.Errorf("instruction %d, in %d bytes: error %v", op, len(long), err)
			}
		}
	}
}
