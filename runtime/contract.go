package runtime

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/streamproc/streamproc/runtime/abi"
	"github.com/streamproc/streamproc/runtime/meter"
	"github.com/tetratelabs/wazero/api"
)

// Errors of Load, wrapped in a sentence. Those of the file itself are in package meter.
var (
	ErrContract = errors.New("not an sp1 plugin")
	ErrDigest   = errors.New("sha256 does not match")
)

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

func signatureOf(t meter.Signature) signature { return signature{t.Params, t.Results} }

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
	abi.Marker: sig(":"), "sp_alloc": sig("i:i"), "sp_init": sig("ii:i"), "sp_close": sig(":"), "sp_needs": sig(":i"), "sp_fields": sig(":I"),
	string(batched): sig("ii:I"), string(filters): sig("ii:i"), string(maps): sig("ii:I"),
}

// checkContract compares what a module imports and exports with the ABI, and returns its form.
func checkContract(m *meter.Module) (form, error) {
	if err := checkBorder(m, hostFunctions); err != nil {
		return "", fmt.Errorf("%w: %w", ErrContract, err)
	}
	if _, ok := m.Exported(abi.Marker); !ok {
		return "", fmt.Errorf("%w: the export %s is missing%s; this build speaks version 1", ErrContract, abi.Marker, otherExports(m))
	}
	if _, ok := m.Exported("sp_alloc"); !ok {
		return "", fmt.Errorf("%w: the export sp_alloc is missing", ErrContract)
	}
	for name, want := range exports {
		if t, ok := m.Exported(name); ok && !signatureOf(t).equal(want) {
			return "", fmt.Errorf("%w: the export %s is %s, it must be %s", ErrContract, name, signatureOf(t), want)
		}
	}
	return oneForm(m)
}

// checkBorder checks what every module has to keep to: it imports functions only, that there are, and exports its memory.
func checkBorder(m *meter.Module, known []hostFunction) error {
	for _, i := range m.Imports {
		if err := checkImport(i, known); err != nil {
			return err
		}
	}
	memories := 0
	for _, e := range m.Exports {
		if e.Kind == meter.Memory {
			memories++
		}
		if e.Kind == meter.Memory && e.Name != "memory" {
			memories = 2
		}
	}
	if memories != 1 {
		return errors.New(`it must export exactly one memory, as "memory"`)
	}
	return nil
}

// otherExports names those that look like ours and are none: of another version, or misspelt.
func otherExports(m *meter.Module) string {
	var found []string
	for _, e := range m.Exports {
		if _, ours := exports[e.Name]; !ours && strings.HasPrefix(e.Name, "sp_") {
			found = append(found, fmt.Sprintf("%q", e.Name))
		}
	}
	if len(found) == 0 {
		return ""
	}
	slices.Sort(found)
	return ", there is " + strings.Join(found[:min(len(found), 5)], ", ")
}

func oneForm(m *meter.Module) (form, error) {
	var found []form
	for _, f := range []form{batched, filters, maps} {
		if _, ok := m.Exported(string(f)); ok {
			found = append(found, f)
		}
	}
	if len(found) == 0 {
		return "", fmt.Errorf("%w: it exports none of sp_process, sp_filter and sp_map%s; it must export exactly one", ErrContract, otherExports(m))
	}
	if len(found) > 1 {
		return "", fmt.Errorf("%w: it exports %d of sp_process, sp_filter and sp_map; it must export exactly one", ErrContract, len(found))
	}
	if _, wants := m.Exported("sp_fields"); wants && found[0] != batched {
		return "", fmt.Errorf("%w: it exports sp_fields, and %s, which is given values; fields are for sp_process", ErrContract, found[0])
	}
	return found[0], nil
}

// checkImport compares an import with the functions that there are.
func checkImport(m meter.Import, known []hostFunction) error {
	if m.Kind != meter.Func {
		return fmt.Errorf("it imports the %v %q.%q; only functions can be imported", m.Kind, m.Module, m.Name)
	}
	i := slices.IndexFunc(known, func(f hostFunction) bool { return f.module == m.Module && f.name == m.Name })
	if i < 0 {
		return fmt.Errorf("the import %q.%q is unknown; the nearest is %s", m.Module, m.Name, nearest(m.Module, m.Name, known))
	}
	want := known[i].sig
	if got := signatureOf(m.Type); !got.equal(want) {
		return fmt.Errorf("the import %s.%s is %s, it must be %s", m.Module, m.Name, got, want)
	}
	return nil
}

// nearest names the host function whose name is the fewest edits away, of several the first.
func nearest(module, name string, known []hostFunction) string {
	best, distance := "", -1
	for _, f := range known {
		full := f.module + "." + f.name
		if d := edits(module+"."+name, full); distance < 0 || d < distance || d == distance && full < best {
			best, distance = full, d
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
