package workshop

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/streamproc/streamproc/artifact"
	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/runtime/js"
)

const examples = "../plugins/examples/"

func open(t *testing.T, file string, config string) *Plugin {
	t.Helper()
	p, err := Open(t.Context(), file, Options{Config: json.RawMessage(config), Dialects: []runtime.Dialect{&js.Script{}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close(context.Background()) })
	return p
}

func records(t *testing.T, lines string) []Record {
	t.Helper()
	list, err := ReadRecords(strings.NewReader(lines))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func texts(lines []Line) (all []string) {
	for _, l := range lines {
		all = append(all, l.String())
	}
	return all
}

func TestRunShowsWhatChanged(t *testing.T) {
	p := open(t, examples+"rekey/rekey.wasm", `{"field":"user"}`)
	in := `{"user":"anna"}` + "\n" + `{"key":"bert","value":{"user":"bert"},"headers":{"h":"1"}}` + "\n\n" + `{"key":"old","value":{"user":"carl"}}` + "\n" + `[]`
	lines, err := p.Run(t.Context(), records(t, in))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{`{"value":{"user":"anna"},"key":"anna"}`, `{"user":"bert"}`, `{"value":{"user":"carl"},"key":"carl"}`, "!error the value is not a JSON object"}
	if got := texts(lines); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestRecordsAreValuesOrObjectsWithAValue(t *testing.T) {
	list := records(t, `{"key":"k","value":"text","timestamp":5}`+"\n"+`{"value":null}`+"\n"+`{"key":"k","other":1,"value":2}`+"\n"+`plain`)
	for i, want := range []struct {
		key, value string
		null       bool
		at         int64
	}{{"k", "text", false, 5}, {"", "", true, 0}, {"", `{"key":"k","other":1,"value":2}`, false, 0}, {"", "plain", false, 0}} {
		s := list[i].stream(int64(i))
		if string(s.Key) != want.key || string(s.Value) != want.value || (s.Value == nil) != want.null || s.Timestamp != want.at {
			t.Errorf("line %d is %+v, want %+v", i+1, s, want)
		}
	}
}

// script writes a plugin in JavaScript.
func script(t *testing.T, source string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "plugin.js")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestInspectListsWhatCrossesTheBorder(t *testing.T) {
	r, err := open(t, examples+"minify/minify.wasm", "").Inspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := r.ABI + " " + strings.Join(r.Imports, ", ") + " | " + strings.Join(r.Exports, ", ")
	for _, want := range []string{"sp1 (sp_map)", "sp1.error (i32 i32 i32) -> ()", "sp_map (i32 i32) -> (i64)", "memory"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is missing in %s", want, all)
		}
	}
	if len(r.SHA256) != 64 || r.Bytes == 0 {
		t.Errorf("%+v", r)
	}
}

func TestInspectNamesTheFieldsThatAPluginWants(t *testing.T) {
	r, err := open(t, script(t, `export const fields = ["price", "id"]; export const filter = v => v.price > 1`), "").Inspect(t.Context())
	if err != nil || strings.Join(r.Fields, " ") != "price id" || r.Trouble != "" {
		t.Errorf("%q, %q, %v", r.Fields, r.Trouble, err)
	}
	r, err = open(t, script(t, `export const fields = 1; export const filter = v => true`), "").Inspect(t.Context())
	if err != nil || r.Fields != nil || !strings.Contains(r.Trouble, "no list of names") {
		t.Errorf("%q, %q, %v", r.Fields, r.Trouble, err)
	}
}

func TestMeasureCountsFuelAndFailures(t *testing.T) {
	p := open(t, examples+"minify/minify.wasm", "")
	m, err := p.Measure(t.Context(), records(t, `{ "a": 1 }`+"\n"+`{"open`), 100, 10*time.Millisecond)
	if err != nil || m.FuelPerRecord < 10 || m.NanosPerRecord <= 0 || m.FailedPerRecord != 0.5 || m.Records == 0 {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestAProjectThatIsGoneHasNoSources(t *testing.T) {
	project, err := New(t.TempDir(), "gone", "rust")
	if err != nil {
		t.Fatal(err)
	}
	if len(project.Sources()) == 0 {
		t.Error("it has none from the beginning")
	}
	if err := os.RemoveAll(project.Dir); err != nil {
		t.Fatal(err)
	}
	if files := project.Sources(); len(files) > 0 {
		t.Errorf("it has %v", files)
	}
}

// TestASaveOfTheSourceIsOne in every language, and what a build makes is none.
func TestASaveOfTheSourceIsOne(t *testing.T) {
	for _, lang := range Languages() {
		p, err := New(t.TempDir(), "paid-orders", lang)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(p.Dir, "paid-orders.wasm"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		wrote := false
		for _, file := range p.Sources() {
			text, err := os.ReadFile(file)
			if err != nil || filepath.Ext(file) == ".wasm" {
				t.Errorf("%s: %s, %v", lang, file, err)
			}
			if info, err := os.Stat(file); err != nil || info.Mode().Perm()&0o044 != 0o044 {
				t.Errorf("%s: %s is for this user alone: %v, %v", lang, file, info.Mode(), err)
			}
			wrote = wrote || filepath.Ext(file) != ".jsonl" && strings.Contains(string(text), "paid-orders") && strings.Contains(string(text), "seen")
		}
		if !wrote {
			t.Errorf("%s: the source is none of %v", lang, p.Sources())
		}
	}
}

// TestAnEngineThatIsThereIsNotFetchedAgain nor without a tool.
func TestAnEngineThatIsThereIsNotFetchedAgain(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	p, err := New(t.TempDir(), "seen", "py")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Build(t.Context(), io.Discard); err == nil || !strings.Contains(err.Error(), "npm is not installed: install Node") {
		t.Errorf("without an engine: %v", err)
	}
	for name, text := range map[string]string{EngineName: "engine", PinName: artifact.Digest([]byte("engine")) + "  " + EngineName} {
		if err := os.WriteFile(filepath.Join(p.Dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Build(t.Context(), io.Discard); err != nil {
		t.Error(err)
	}
	if want := "{ py: seen/seen.py, engine: { wasm: seen/python.wasm, sha256: " + artifact.Digest([]byte("engine")) + " } }"; p.Step() != want {
		t.Errorf("its step is %s, want %s", p.Step(), want)
	}
}
