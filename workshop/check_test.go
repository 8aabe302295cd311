package workshop

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/internal/hostile"
	"github.com/streamproc/streamproc/internal/python"
	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/runtime/meter"
	"github.com/streamproc/streamproc/stream"
)

const guests = "../runtime/testdata/"

// faults are plugins, most of which break some rules.
var faults = []struct {
	name   string
	module string // a file; with a space, a script
	config string
	in     string
	want   string // the rules that warn or fail, and part of what is said of each
}{
	{"none", guests + "misbehaves.wasm", `{"fault":"none"}`, "", ""},
	{"structure at its caps", "nested.wasm", "", "", "warn structure is within its caps: 95 % of the nearest: 1,900 of 2,000 nested blocks, function 2\n" +
		"FAIL room for a large record: beyond the memory of 65536 bytes\nFAIL the arena may be anywhere: beyond the memory"},
	{"lookups without keys", guests + "lookup.wasm", "", "", "warn imports are served: there is no kv.json beside it"},
	{"no start", guests + "misbehaves.wasm", `{}`, "", "FAIL it starts, and ends when told: { fault: NAME } is missing"},
	{"larger when it starts again", guests + "misbehaves.wasm", `{"fault":"idle"}`, "", "FAIL instances are alike: KiB, and the one that takes its place"},
	{"another answer when it starts again", guests + "misbehaves.wasm", `{"fault":"late"}`, "", "FAIL instances are alike: in the one that takes its place record 1\n" +
		"warn no clock and no random bytes: or the time of its start"},
	{"no second start", guests + "misbehaves.wasm", `{"fault":"once"}`, "", "FAIL instances are alike: it does not start a second time\nFAIL no clock and no random bytes: calling sp_init"},
	{"a silent refusal", guests + "lengths.wasm", `{"a":"` + strings.Repeat("x", 42) + `"}`, "", "FAIL an empty configuration: without a word\nFAIL a broken configuration: without a word"},
	{"a trap for a setting", guests + "lengths.wasm", `{"a":1,"b":"` + strings.Repeat("x", 44) + `"}`, "", "FAIL an empty configuration: without a word\nFAIL a broken configuration: unreachable"},
	{"any setting", "export const init = c => {}, map = v => v", `{"least":1}`, "", "warn a broken configuration: as in \"nonsense\""},
	{"a setting that is misspelt", "export const init = c => { if (c.least === undefined) throw new Error('least is missing') }, map = v => v", `{"least":1}`, "", ""},
	{"little room", guests + "misbehaves.wasm", `{"fault":"room"}`, "", "warn room for a large record: reason limit"},
	{"the arena of the first time", guests + "misbehaves.wasm", `{"fault":"arena"}`, "", "FAIL the arena may be anywhere: after sp_alloc was asked for other sizes\nFAIL batches may be cut anywhere"},
	{"an empty batch", guests + "misbehaves.wasm", `{"fault":"empty"}`, "", "FAIL an empty batch is answered: unreachable"},
	{"steps of 48", guests + "misbehaves.wasm", `{"fault":"stride"}`, "", "FAIL descriptors may be longer: with a record_size of 56 record"},
	{"null as empty", guests + "misbehaves.wasm", `{"fault":"key"}`, "", `FAIL null and empty survive: record 1: a key comes out as it went in, and the key null as ""`},
	{"lost headers", guests + "misbehaves.wasm", `{"fault":"headers"}`, "", "warn null and empty survive: the outputs of record 4 have lost its headers"},
	{"odd values", guests + "misbehaves.wasm", `{"fault":"odd"}`, "{}\n{}", "warn odd values do not trap: the first is an empty value: trap: unreachable"},
	{"odd answers", guests + "misbehaves.wasm", `{"fault":"breach"}`, "{}\n{}", "FAIL odd values do not trap: an empty value: contract: verdict 9"},
	{"a record that traps", guests + "misbehaves.wasm", `{"fault":"traps"}`, "{}\n" + `{"trap":1}`, "warn the records do not trap: record 2: trap: unreachable"},
	{"neighbours", guests + "misbehaves.wasm", `{"fault":"beside"}`, "", "FAIL batches may be cut anywhere: one by one record 4\nFAIL odd values spare the others"},
	{"a memory", "let n = 0; export const map = v => ({ ...v, n: n++ })", "", "{}", "FAIL a batch leaves nothing behind: a second time record 1"},
	{"poison", guests + "misbehaves.wasm", `{"fault":"poison"}`, "{}\n{}", "FAIL odd values spare the others"},
	{"the clock", guests + "misbehaves.wasm", `{"fault":"clock"}`, "{}\n{}", "warn no clock and no random bytes: it uses the clock: in a later batch record 1"},
	{"random bytes", guests + "misbehaves.wasm", `{"fault":"random"}`, "{}", "FAIL a batch leaves nothing behind\nwarn no clock and no random bytes: it uses random bytes"},
	{"a leak", `const all = []; export function filter(v) { all.push("x".repeat(20000) + all.length); return true }`, "", "{}", "FAIL memory does not grow: it has grown from"},
	{"a long loop", guests + "misbehaves.wasm", `{"fault":"dear"}`, "{}", "FAIL there is fuel to spare: % of 10,000,000: p50 "},
	{"a line for each record", guests + "misbehaves.wasm", `{"fault":"logs"}`, "{}\n{}", "warn few lines are logged: there is a line for each record, and more: 2 for 2"},
	{"a field that is misspelt", `export const fields = ["price", "chanel"]; export const filter = v => v.price > 1`, "", `{"price":1,"channel":"x"}`,
		`FAIL the fields it wants are there: no record has the field "chanel"`},
	{"fields in different records", `export const fields = ["price", "chanel"]; export const filter = v => v.price > 1`, "", `{"price":1}` + "\n" + `{"chanel":null}` + "\n" + `[]`, ""},
}

// usual are the records of most cases.
const usual = `{"key":"k","value":{"a":1},"timestamp":1700000000000}` + "\n" + `[]` + "\n" + `{"drop":1}` + "\n" + `{"value":{"b":"two"},"headers":{"h":"1"}}`

// TestEachRuleFindsWhatBreaksIt has for each rule one plugin that keeps to it, and one that does not.
func TestEachRuleFindsWhatBreaksIt(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range faults {
		t.Run(c.name, func(t *testing.T) {
			module := c.module
			switch {
			case module == "nested.wasm":
				module = filepath.Join(t.TempDir(), module)
				if err := os.WriteFile(module, hostile.Measure(1_900), 0o600); err != nil {
					t.Fatal(err)
				}
			case strings.Contains(module, " "):
				module = script(t, module)
			}
			in := c.in
			if in == "" {
				in = usual
			}
			checked, err := open(t, module, c.config).Check(t.Context(), records(t, in))
			if err != nil {
				t.Fatal(err)
			}
			compareRules(t, &checked, c.want)
			for _, r := range checked.Rules {
				switch r.Result {
				case Pass:
					seen[r.Name+" kept"] = true
				case Warn, Fail:
					seen[r.Name+" broken"] = true
				}
			}
		})
	}
	for _, g := range groups {
		for _, r := range g.rules {
			if !seen[r.name+" kept"] || !seen[r.name+" broken"] {
				t.Errorf("%s: kept %v, broken %v; both should be tried", r.name, seen[r.name+" kept"], seen[r.name+" broken"])
			}
		}
	}
}

// compareRules compares what warns and fails with lines of what should.
func compareRules(t *testing.T, c *Checked, want string) {
	t.Helper()
	var wanted []string
	if want != "" {
		wanted = strings.Split(want, "\n")
	}
	var got []string
	for _, r := range c.Rules {
		word := map[Result]string{Warn: "warn", Fail: "FAIL"}[r.Result]
		if word != "" {
			got = append(got, word+" "+r.Name+": "+r.Saw)
		}
		if (r.Remedy != "") != (word != "") {
			t.Errorf("%s has the remedy %q", r.Name, r.Remedy)
		}
	}
	for i := range max(len(got), len(wanted)) {
		if i >= len(got) || i >= len(wanted) {
			t.Fatalf("there is\n%s\nwanted is\n%s", strings.Join(got, "\n"), want)
		}
		rule, says, _ := strings.Cut(wanted[i], ": ")
		if !strings.HasPrefix(got[i], rule+": ") || !strings.Contains(got[i], says) {
			t.Errorf("there is\n%s\nwanted is\n%s", got[i], wanted[i])
		}
	}
}

func TestTheExamplesKeepToTheRules(t *testing.T) {
	modules, err := filepath.Glob(examples + "*/*.wasm")
	if err != nil || len(modules) < 5 {
		t.Fatalf("%d examples, %v", len(modules), err)
	}
	// Each is so: what reads JSON in Zig, and in Java, takes long for lists in lists, and a script may take any setting.
	warnings := map[string]string{
		"rekey.wasm":          "warn odd values do not trap: 10,000 lists in each other: fuel",
		"bid_price_java.wasm": "warn odd values do not trap: 10,000 lists in each other: fuel",
		"trade.ts":            "warn a broken configuration",
	}
	for _, m := range append(modules, examples+"trade/trade.ts", examples+"dear-bids/dear_bids.ts", examples+"bid-price/bid_price.ts") {
		config, _ := os.ReadFile(filepath.Join(filepath.Dir(m), "config.json")) // none is fine
		in, err := os.ReadFile(filepath.Join(filepath.Dir(m), "in.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		checked, err := open(t, m, string(config)).Check(t.Context(), records(t, string(in)))
		if err != nil {
			t.Fatal(err)
		}
		t.Log(m)
		compareRules(t, &checked, warnings[filepath.Base(m)])
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
	checked, err := p.Check(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	compareRules(t, &checked, "FAIL memory does not grow: in batch 1 its memory was full")
}

// TestTheGuideHasEachRule looks for them in the table of the guide.
func TestTheGuideHasEachRule(t *testing.T) {
	guide, err := os.ReadFile("../docs/guides/plugins.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		for _, r := range g.rules {
			if !strings.Contains(string(guide), "| "+r.name+" | ") {
				t.Errorf("the guide does not tell of %q", r.name)
			}
		}
	}
}

func TestWhatDoesNotStartIsSkipped(t *testing.T) {
	checked, err := open(t, guests+"misbehaves.wasm", `{}`).Check(t.Context(), records(t, usual))
	if err != nil {
		t.Fatal(err)
	}
	after := slices.IndexFunc(checked.Rules, func(r Rule) bool { return r.Result == Fail })
	for _, r := range checked.Rules[after+1:] {
		if r.Result != Skip || r.Saw != "it does not start" {
			t.Errorf("%s: %s, %s", r.Name, r.Result, r.Saw)
		}
	}
	if checked.Costs != nil {
		t.Errorf("it costs %+v", checked.Costs)
	}
}

// lying is a dialect that says that it has gone back to its start, and has not.
type lying struct{ count int }

func (l *lying) Name() string                                { return "lying" }
func (l *lying) Speaks(*meter.Module) bool                   { return true }
func (l *lying) Check(*meter.Module) error                   { return nil }
func (l *lying) Functions() []runtime.HostFunction           { return nil }
func (l *lying) Open(*runtime.Host) (runtime.Session, error) { return &lying{}, nil }
func (l *lying) Start(context.Context) error                 { return nil }
func (l *lying) Reset(context.Context) bool                  { return true }
func (l *lying) Close(context.Context) error                 { return nil }
func (l *lying) Process(_ context.Context, c *runtime.Call) error {
	for i := range c.Len() {
		l.count++
		if c.Keep(i); l.count > 1 {
			c.Fail(i, stream.ReasonError, "not the first")
		}
	}
	return nil
}

func TestAResetIsAsAFreshInstance(t *testing.T) {
	file := filepath.Join(t.TempDir(), "memory.wasm")
	if err := os.WriteFile(file, hostile.Speaks(), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := Open(t.Context(), file, Options{Dialects: []runtime.Dialect{&lying{}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close(context.Background()) })
	checked, err := p.Check(t.Context(), records(t, "{}\n{}"))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(checked.Rules, func(r Rule) bool { return r.Name == "instances are alike" })
	if r := checked.Rules[i]; r.Result != Fail || !strings.Contains(r.Saw, "in the one that takes its place record 1") {
		t.Errorf("%+v", r)
	}
}

func TestWhatIsBrokenIsEachSettingAndTheWhole(t *testing.T) {
	for config, want := range map[string]string{
		"":                          `{"no_such_setting":true} "nonsense"`,
		`[1]`:                       `{"no_such_setting":true} "nonsense"`,
		`{"a":"x","b":{"c":[1,2]}}`: `{"a":{"non":"sense"},"b":{"c":[1,2]}} {"a":"x","b":"nonsense"} {"a":"x","b":{"c":[1,2]},"no_such_setting":true} "nonsense"`,
	} {
		var got []string
		for _, b := range broken(json.RawMessage(config)) {
			got = append(got, string(b))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s is broken as %s", config, got)
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
	checked, err := p.Check(t.Context(), records(t, `{"id":1,"paid":true}`+"\n"+`{"id":2}`+"\n"+`[3]`))
	if err != nil {
		t.Fatal(err)
	}
	compareRules(t, &checked, "")
	if pinned, err := os.ReadFile(filepath.Join(project.Dir, "engine.sha256")); err != nil || string(pinned) != python.SHA256+"  "+EngineName+"\n" {
		t.Errorf("the project pins %s, %v", pinned, err)
	}
}
