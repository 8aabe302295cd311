package workshop

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/streamproc/streamproc/internal/python"
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

// rulesOf returns the names of the rules that a plugin does not keep to.
func rulesOf(t *testing.T, p *Plugin, rs []Record) (broken []string) {
	t.Helper()
	rules, err := p.Check(t.Context(), rs)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules {
		if !r.Pass {
			broken = append(broken, r.Name+": "+r.Why)
		}
	}
	return broken
}

func TestTheExamplesKeepToTheRules(t *testing.T) {
	modules, err := filepath.Glob(examples + "*/*.wasm")
	if err != nil || len(modules) < 5 {
		t.Fatalf("%d examples, %v", len(modules), err)
	}
	for _, m := range append(modules, examples+"trade/trade.ts") {
		config, _ := os.ReadFile(filepath.Join(filepath.Dir(m), "config.json")) // none is fine
		in, err := os.ReadFile(filepath.Join(filepath.Dir(m), "in.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		p := open(t, m, string(config))
		if broken := rulesOf(t, p, records(t, string(in))); broken != nil {
			t.Errorf("%s: %v", m, broken)
		}
	}
}

func TestAScriptInPythonKeepsToTheRules(t *testing.T) {
	engine, err := python.Engine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	project, err := New(t.TempDir(), "seen", "py")
	if err != nil {
		t.Fatal(err)
	}
	p, err := Open(t.Context(), filepath.Join(project.Dir, project.Module), Options{Engine: engine, CacheDir: python.Cache(engine), Dialects: Scripts()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close(context.Background()) })
	if broken := rulesOf(t, p, records(t, `{"id":1,"paid":true}`+"\n"+`{"id":2}`+"\n"+`[3]`)); broken != nil {
		t.Error(broken)
	}
	if pinned, err := os.ReadFile(filepath.Join(project.Dir, "engine.sha256")); err != nil || string(pinned) != python.SHA256+"  "+EngineName+"\n" {
		t.Errorf("the project pins %s, %v", pinned, err)
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

func TestAPluginThatRemembersIsCaught(t *testing.T) {
	p := open(t, script(t, `let n = 0; export function map(v) { return { ...v, n: n++ } }`), "")
	broken := strings.Join(rulesOf(t, p, records(t, `{"a":1}`+"\n"+`{"a":2}`)), "\n")
	if !strings.Contains(broken, "leaves nothing behind") || strings.Contains(broken, "fresh instance") {
		t.Errorf("a counter breaks\n%s", broken)
	}
}

func TestAPluginThatGrowsIsCaught(t *testing.T) {
	p := open(t, script(t, `const all = []; export function filter(v) { all.push("x".repeat(20000) + all.length); return true }`), "")
	if broken := strings.Join(rulesOf(t, p, records(t, `{"a":1}`)), "\n"); !strings.Contains(broken, "does not grow") {
		t.Errorf("a leak breaks\n%s", broken)
	}
}

// TestAPluginThatFillsItsMemoryInABatchIsCaught has it start anew again and again, which costs no record, and leaves it small.
func TestAPluginThatFillsItsMemoryInABatchIsCaught(t *testing.T) {
	p := open(t, script(t, `const all = []; export function map(v) { all.push(new Uint8Array(1 << 20).fill(1)); return v }`), "")
	in := records(t, strings.Repeat(`{"a":1}`+"\n", 60))
	lines, err := p.Run(t.Context(), in)
	if err != nil || len(lines) != len(in) || strings.Contains(strings.Join(texts(lines), ""), "!") {
		t.Fatalf("a leak costs records: %v, %v", texts(lines), err)
	}
	if broken := strings.Join(rulesOf(t, p, in), "\n"); !strings.Contains(broken, "in batch 1 its memory was full") {
		t.Errorf("a leak breaks\n%s", broken)
	}
}

func TestAPluginThatIsDearIsCaught(t *testing.T) {
	p := open(t, script(t, `export function filter(v) { let n = 0; for (let i = 0; i < 500000; i++) n += i; return n > 0 }`), "")
	if broken := strings.Join(rulesOf(t, p, records(t, `{"a":1}`)), "\n"); !strings.Contains(broken, "of its fuel") {
		t.Errorf("a long loop breaks\n%s", broken)
	}
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

func TestAFieldThatNoRecordHasIsCaught(t *testing.T) {
	p := open(t, script(t, `export const fields = ["price", "chanel"]; export const filter = v => v.price > 1`), "")
	if broken := rulesOf(t, p, records(t, `{"price":1,"channel":"x"}`)); len(broken) != 1 || !strings.Contains(broken[0], `no record has the field "chanel"`) {
		t.Errorf("a misspelt field breaks %q", broken)
	}
	if broken := rulesOf(t, p, records(t, `{"price":1}`+"\n"+`{"chanel":null}`+"\n"+`[]`)); broken != nil {
		t.Errorf("fields in different records break %q", broken)
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
