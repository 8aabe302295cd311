package runtime

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/streamproc/streamproc/runtime/abi"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// Errors of Load, wrapped in a sentence.
var (
	ErrNotWasm   = errors.New("not WebAssembly")
	ErrTruncated = errors.New("truncated")
	ErrComponent = errors.New("a component, not a module: build a core module, for example for wasm32-wasip1")
	ErrContract  = errors.New("not an sp1 plugin")
	ErrDigest    = errors.New("sha256 does not match")
)

// checkBinary looks at the frame of the file: magic, version, and that its sections are all there.
func checkBinary(b []byte) error {
	switch {
	case len(b) == 0:
		return fmt.Errorf("%w: the file is empty", ErrNotWasm)
	case !strings.HasPrefix("\x00asm", string(b[:min(4, len(b))])):
		return ErrNotWasm
	case len(b) < 8:
		return fmt.Errorf("%w: %d bytes are less than a header", ErrTruncated, len(b))
	case len(b) > maxModuleBytes:
		return fmt.Errorf("%d bytes are over the limit of %d", len(b), maxModuleBytes)
	}
	switch v := binary.LittleEndian.Uint32(b[4:]); v {
	case 1:
	case 0x1000d:
		return ErrComponent
	default:
		return fmt.Errorf("%w: its version is %#x, not 1", ErrNotWasm, v)
	}
	for rest := b[8:]; len(rest) > 0; {
		size, n := binary.Uvarint(rest[1:])
		if n <= 0 || n > 5 || size > uint64(len(rest)-1-n) {
			return fmt.Errorf("%w: a section goes beyond the end of the file", ErrTruncated)
		}
		rest = rest[1+n+int(size):]
	}
	return nil
}

type signature struct{ params, results []api.ValueType }

func sig(s string) signature {
	p, r, _ := strings.Cut(s, ":")
	kinds := map[rune]api.ValueType{'i': api.ValueTypeI32, 'I': api.ValueTypeI64}
	var out signature
	for _, c := range p {
		out.params = append(out.params, kinds[c])
	}
	for _, c := range r {
		out.results = append(out.results, kinds[c])
	}
	return out
}

func (s signature) String() string {
	names := func(ts []api.ValueType) string {
		var out []string
		for _, t := range ts {
			out = append(out, api.ValueTypeName(t))
		}
		return "(" + strings.Join(out, " ") + ")"
	}
	return names(s.params) + " -> " + names(s.results)
}

func signatureOf(d api.FunctionDefinition) signature {
	return signature{d.ParamTypes(), d.ResultTypes()}
}

func (s signature) equal(o signature) bool {
	return slices.Equal(s.params, o.params) && slices.Equal(s.results, o.results)
}

// form is which of the three calls a plugin exports.
type form string

const (
	batched form = "sp_process"
	filters form = "sp_filter"
	maps    form = "sp_map"
	spoken  form = "" // the calls are those of a dialect
)

func (f form) takesTombstones() bool { return f == batched || f == spoken }

var exports = map[string]signature{
	abi.Marker: sig(":"), "sp_alloc": sig("i:i"), "sp_init": sig("ii:i"), "sp_close": sig(":"), "sp_needs": sig(":i"),
	string(batched): sig("ii:I"), string(filters): sig("ii:i"), string(maps): sig("ii:I"),
}

// checkContract compares what a compiled module imports and exports with the ABI, and returns its form.
func checkContract(c wazero.CompiledModule) (form, error) {
	for _, d := range c.ImportedFunctions() {
		if err := checkImport(d, hostFunctions); err != nil {
			return "", err
		}
	}
	if err := checkMemory(c); err != nil {
		return "", err
	}
	fs := c.ExportedFunctions()
	if _, ok := fs[abi.Marker]; !ok {
		return "", fmt.Errorf("%w: the export %s is missing%s; this build speaks version 1", ErrContract, abi.Marker, otherMarkers(fs))
	}
	if _, ok := fs["sp_alloc"]; !ok {
		return "", fmt.Errorf("%w: the export sp_alloc is missing", ErrContract)
	}
	for name, want := range exports {
		if d, ok := fs[name]; ok && !signatureOf(d).equal(want) {
			return "", fmt.Errorf("%w: the export %s is %s, it must be %s", ErrContract, name, signatureOf(d), want)
		}
	}
	return oneForm(fs)
}

func checkMemory(c wazero.CompiledModule) error {
	if len(c.ImportedMemories()) > 0 {
		return fmt.Errorf("%w: it imports a memory; it must have its own", ErrContract)
	}
	if _, ok := c.ExportedMemories()["memory"]; !ok || len(c.ExportedMemories()) != 1 {
		return fmt.Errorf(`%w: it must export exactly one memory, as "memory"`, ErrContract)
	}
	return nil
}

func otherMarkers(fs map[string]api.FunctionDefinition) string {
	var found []string
	for name := range fs {
		if strings.HasPrefix(name, "sp_abi_") {
			found = append(found, fmt.Sprintf("%q", name))
		}
	}
	if found == nil {
		return ""
	}
	slices.Sort(found)
	return ", there is " + strings.Join(found, ", ")
}

func oneForm(fs map[string]api.FunctionDefinition) (form, error) {
	var found []form
	for _, f := range []form{batched, filters, maps} {
		if _, ok := fs[string(f)]; ok {
			found = append(found, f)
		}
	}
	if len(found) != 1 {
		return "", fmt.Errorf("%w: it exports %d of sp_process, sp_filter and sp_map %v; it must export exactly one",
			ErrContract, len(found), found)
	}
	return found[0], nil
}

// checkImport compares an import with the functions that there are.
func checkImport(d api.FunctionDefinition, known []hostFunction) error {
	module, name, _ := d.Import()
	i := slices.IndexFunc(known, func(f hostFunction) bool { return f.module == module && f.name == name })
	if i < 0 {
		return fmt.Errorf("%w: the import %q.%q is unknown; the nearest is %s", ErrContract, module, name, nearest(module, name, known))
	}
	want := known[i].sig
	if got := signatureOf(d); !got.equal(want) {
		return fmt.Errorf("%w: the import %s.%s is %s, it must be %s", ErrContract, module, name, got, want)
	}
	return nil
}

// nearest names the host function whose name is the fewest edits away.
func nearest(module, name string, known []hostFunction) string {
	best, distance := "", -1
	for _, f := range known {
		if d := edits(module+"."+name, f.module+"."+f.name); distance < 0 || d < distance {
			best, distance = f.module+"."+f.name, d
		}
	}
	return best
}

// edits is the Levenshtein distance of two names, of which at most 64 bytes count.
func edits(a, b string) int {
	a, b = a[:min(len(a), 64)], b[:min(len(b), 64)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
