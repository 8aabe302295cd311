package meter

import (
	"testing"

	"github.com/streamproc/streamproc/internal/hostile"
	"github.com/tetratelabs/wazero/api"
)

// TestDepthIsThatOfTheCallsThatGoRound calls a function that calls itself as often as it is told, below a light function
// and above a chain of others, which do not make its calls dearer.
func TestDepthIsThatOfTheCallsThatGoRound(t *testing.T) {
	for name, call := range map[string]func(m *hostile.Module, self int) []byte{
		"directly": func(_ *hostile.Module, self int) []byte { return hostile.Code(hostile.Call, hostile.U(uint64(self))) },
		"through the table": func(m *hostile.Module, self int) []byte {
			return hostile.Code(hostile.Const(0), hostile.CallIndirect, hostile.U(uint64(m.Type("i:"))), 0)
		},
	} {
		var m hostile.Module
		chain := m.Func(":", 0, nil)
		for range 200 {
			chain = m.Func(":", 0, hostile.Code(hostile.Call, hostile.U(uint64(chain))))
		}
		self := chain + 1
		code := hostile.Code(hostile.Call, hostile.U(uint64(chain)),
			hostile.Get(0), hostile.If, hostile.Empty, hostile.Get(0), hostile.Const(1), hostile.I32Sub, call(&m, self), hostile.End)
		m.Func("i:", 0, code)
		m.Table(1, 1)
		m.Elements(self)
		m.Export("run", m.Func("i:", 0, hostile.Code(hostile.Get(0), hostile.Call, hostile.U(uint64(self)))))
		read, err := Read(m.Bytes(), Default())
		if err != nil {
			t.Fatal(err)
		}
		e := newEngines(t).start(t, read.Metered())
		depth := e.ExportedGlobal(DepthExport).(api.MutableGlobal)
		for n, fits := range map[uint64]bool{0: true, 700: true, 1001: false} {
			e.ExportedGlobal(FuelExport).(api.MutableGlobal).Set(specFuel)
			depth.Set(1000)
			_, err := e.ExportedFunction("run").Call(t.Context(), n)
			left := int32(uint32(depth.Get()))
			if (err == nil) != fits || fits && left != 1000 || !fits && left >= 0 {
				t.Errorf("%s, %d deep: error %v, %d left", name, n, err, left)
			}
		}
	}
}
