package workshop

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAPluginIsTriedWithWhatLiesBesideIt(t *testing.T) {
	module, err := os.ReadFile("../runtime/testdata/lookup.wasm")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "lookup.wasm")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(Beside(file, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("lookup.wasm", string(module))
	records, err := ReadRecords(strings.NewReader("\"ga\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{{"", `"absent"`}, {`{"a":"one"}`, `"one"`}} {
		kv, want := c[0], c[1]
		if kv != "" {
			write(KVName, kv)
		}
		p, err := Open(t.Context(), file, Options{})
		if err != nil {
			t.Fatal(err)
		}
		lines, err := p.Run(t.Context(), records)
		if err != nil || len(lines) != 1 || lines[0].String() != want {
			t.Errorf("with %q it makes %v, %v", kv, lines, err)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	write(KVName, `["a"]`)
	if _, err := Open(t.Context(), file, Options{}); err == nil || !strings.Contains(err.Error(), `kv.json is not {"key": "value", …}`) {
		t.Errorf("it says %v", err)
	}
}
