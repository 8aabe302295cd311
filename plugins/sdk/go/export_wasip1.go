package sp1

import (
	"unsafe"

	"github.com/streamproc/streamproc/runtime/abi"
)

var (
	arena []byte // reachable from here, so that the collector leaves it
	out   abi.Answer
)

//go:wasmimport sp1 error
func spError(index int32, ptr unsafe.Pointer, n uint32)

//go:wasmimport sp1 log
func spLog(level int32, ptr unsafe.Pointer, n uint32)

//go:wasmimport sp1 now_ms
func spNow() int64

//go:wasmimport sp1 metric_add
func spMetricAdd(id int32, delta int64)

//go:wasmimport sp1 kv_get
func spKVGet(key unsafe.Pointer, n uint32, to unsafe.Pointer, room uint32) int32

func writeLog(level Level, text string) {
	spLog(int32(level), unsafe.Pointer(unsafe.StringData(text)), uint32(len(text)))
}

func now() int64 { return spNow() }

func count(id int, delta int64) { spMetricAdd(int32(id), delta) }

func lookup(key, to []byte) int32 {
	return spKVGet(unsafe.Pointer(unsafe.SliceData(key)), uint32(len(key)), unsafe.Pointer(unsafe.SliceData(to)), uint32(len(to)))
}

func report(i int, text string) {
	spError(int32(i), unsafe.Pointer(unsafe.StringData(text)), uint32(len(text)))
}

//go:wasmexport sp_abi_v1
func spMarker() {}

//go:wasmexport sp_alloc
func spAlloc(n uint32) uint32 {
	if int(n) > len(arena) {
		arena = make([]byte, n+n/2)
	}
	return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(arena))))
}

//go:wasmexport sp_init
func spInit(_, n uint32) int32 {
	return Init(append([]byte(nil), arena[:n]...), report)
}

//go:wasmexport sp_needs
func spNeeds() int32 { return int32(Needs()) }

//go:wasmexport sp_fields
func spFields() int64 {
	if len(wanted) == 0 {
		return 0
	}
	return int64(uintptr(unsafe.Pointer(unsafe.SliceData(wanted))))<<32 | int64(len(wanted))
}

//go:wasmexport sp_process
func spProcess(_, n uint32) int64 {
	if err := Process(arena[:n], &out, report); err != nil {
		report(-1, err.Error())
		return -1
	}
	if out.Len() == 0 {
		return 0
	}
	b := out.Bytes()
	if b == nil {
		return -1
	}
	return int64(uintptr(unsafe.Pointer(unsafe.SliceData(b))))<<32 | int64(len(b))
}
