package js

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/internal/guesttest"
	"github.com/streamproc/streamproc/internal/scripttest"
	"github.com/streamproc/streamproc/runtime"
)

func TestMain(m *testing.M) { os.Exit(scripttest.Main(m)) }

func newRig(t testing.TB) *scripttest.Rig {
	t.Helper()
	return scripttest.New(t, scripttest.Language{Dialect: &Script{}, Engine: Engine, File: "price.ts",
		Read: func(file string) (runtime.Dialect, error) { return Compile(file) }})
}

func inBytes(d runtime.Dialect, _ *runtime.Source) { d.(*Script).Bytes = true }

func TestTheEngineIsTheFileThatItsOriginNames(t *testing.T) {
	digest := fmt.Sprintf("%x", sha256.Sum256(Engine))
	origin, err := os.ReadFile("engine/ORIGIN.md")
	if err != nil {
		t.Fatal(err)
	}
	if digest != EngineSHA256 || !strings.Contains(string(origin), digest) {
		t.Errorf("the engine is %s; engine.go and ORIGIN.md must say so", digest)
	}
}

func TestAScriptFiltersAndMaps(t *testing.T) {
	g := newRig(t).Guest(`
interface Trade { symbol: string; price: number }
export function filter(v: Trade): boolean { return v.price > 100 }
export function map(v: Trade): Trade { return { ...v, symbol: v.symbol.toLowerCase() } }
`)
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch(`{"symbol":"ÄBC","price":150.5}`, `{"symbol":"X","price":1}`, "{\n\"symbol\":\"N\",\r\n\"price\": 101}")),
		`{"symbol":"äbc","price":150.5}`, "filtered", `{"symbol":"n","price":101}`)
}

func TestUndefinedDropsAndFlatMapMultiplies(t *testing.T) {
	r := newRig(t)
	g := r.Guest(`export const map = v => v === null ? undefined : v === 0 ? null : v + 1`)
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch("null", "1", "0")), "filtered", "2", "null")
	g = r.Guest(`export function flatMap(v) { return v.n === undefined ? undefined : Array.from({length: v.n}, (_, i) => i === 2 ? undefined : i) }`)
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch(`{"n":2}`, `{"n":0}`, `{}`, `{"n":1}`, `{"n":4}`)), "0", "1", "filtered", "filtered", "0", "0", "1", "3")
}

func TestAFilterPassesTheOriginalBytes(t *testing.T) {
	g, err := newRig(t).Start(`export const filter = v => { v.changed = true; return v.keep }`, runtime.Filter)
	if err != nil {
		t.Fatal(err)
	}
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch(`{ "keep" : 1e0 }`, `{"keep":false}`, `{"keep":true,"big":12345678901234567890}`)),
		`{ "keep" : 1e0 }`, "filtered", `{"keep":true,"big":12345678901234567890}`)
}

func TestTombstonesPass(t *testing.T) {
	b := guesttest.Batch("1", "2")
	b.Records[0].Value = nil
	guesttest.Check(t, guesttest.Outcome(t, newRig(t).Guest(`export const map = v => -v`), b), "null", "-2")
}

func TestTheRecordIsThereForThoseWhoAsk(t *testing.T) {
	r := newRig(t)
	for _, script := range []string{
		`export function map(v, rec) { return rec }`,
		`export function map(v: any, rec = {}) { return rec }`,
		`export const map = (...all) => all[1]`,
		`export function map(v) { return arguments[1] }`,
	} {
		guesttest.Check(t, guesttest.Outcome(t, r.Guest(script), guesttest.Batch("1")),
			`{"key":"k0","headers":{"h":"x","n":null},"timestamp":1000,"topic":"t","partition":2,"offset":0}`)
	}
}

func TestInitGetsTheConfiguration(t *testing.T) {
	script := `let least = 0
export function init(config) { if (!config.least) throw new Error("least is missing"); least = config.least }
export const filter = v => v >= least`
	r := newRig(t)
	guesttest.Check(t, guesttest.Outcome(t, r.Guest(script, scripttest.Config(`{"least":5}`)), guesttest.Batch("4", "5")), "filtered", "5")
	_, err := r.Start(script, runtime.Filter)
	if err == nil || !strings.Contains(err.Error(), "price.ts:2:61: Error: least is missing (in init)") {
		t.Errorf("without its setting: %v", err)
	}
}

func TestBytesComeAsTheyAre(t *testing.T) {
	r := newRig(t)
	g := r.Guest(`export function map(v: Uint8Array) { return v.length === 0 ? "empty" : v.reverse() }`, inBytes)
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch("ab\xff\n", "", "xyz")), "\n\xffba", "empty", "zyx")
	g = r.Guest(`export const flatMap = v => new TextDecoder().decode(v).split(" ").map(w => new TextEncoder().encode(w + "é"))`, inBytes)
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch("ä ö", "", "\xff")), "äé", "öé", "é", "!error price.ts:1:54: URIError: malformed UTF-8 (in flatMap)")
	g = r.Guest(`export const map = v => ({})`, inBytes)
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch("a")), "!error price.ts: TypeError: with decode: bytes the result must be a Uint8Array or a string")
}

func TestAnErrorCostsItsRecordAndSaysWhere(t *testing.T) {
	r := newRig(t)
	r.Write("lib/lower.ts", "// a neighbour\nexport function lower(s: string): string {\n  return s.toLowerCase()\n}\n")
	g := r.Guest(`import { lower } from "./lib/lower"
type T = { symbol: string };

export function map(v: T) {
  if (v.symbol === "odd") throw "a string"
  return { symbol: lower(v.symbol) }
}`)
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch(`{"symbol":"A"}`, `{}`, `{"symbol":"odd"}`, `nonsense`, "\xff", "{\"a\":\"\n\"}", `{"symbol":"B"}`)),
		`{"symbol":"a"}`,
		`!error lib/lower.ts:3:10: TypeError: cannot read property 'toLowerCase' of undefined (in lower)`,
		`!error price.ts: a string`,
		`!decode the value is not JSON: it goes wrong at byte 2`,
		`!decode the value is not UTF-8, so it is not JSON`,
		`!decode the value is not JSON: it goes wrong at byte 7`,
		`{"symbol":"b"}`)
}

func TestAnswersThatAreNoneFailTheirRecord(t *testing.T) {
	g := newRig(t).Guest(`export function map(v) {
  switch (v) {
    case 0: return Promise.resolve(1)
    case 1: return () => 1
    case 2: return 1n
    case 3: { const a: any = {}; a.a = a; return a }
    case 4: return deep()
    default: return v
  }
}
function deep() { return deep() + 1 }`)
	got := guesttest.Outcome(t, g, guesttest.Batch("0", "1", "2", "3", "4", "5"))
	for i, want := range []string{"map returned a Promise", "no form in JSON", "BigInt", "circular", "Maximum call stack size exceeded", "5"} {
		if line := strings.Split(got, "\n")[i]; !strings.Contains(line, want) {
			t.Errorf("%d: %q lacks %q", i, line, want)
		}
	}
}

func TestARunawayCostsItsRecord(t *testing.T) {
	g := newRig(t).Guest(`const kept = []
export function map(v) {
  if (v === "loop") for (;;);
  if (v === "regex") return /^(a+)+$/.test("a".repeat(40) + "b")
  if (v === "grow") for (;;) kept.push(new Uint8Array(1 << 20))
  if (v === "fill") { const a = new Uint8Array(8 << 20); for (;;) a.fill(7) }
  if (v === "big") { let n = 3n; for (;;) n = n * n }
  if (v === "catch") for (;;) try { for (;;); } catch (e) {}
  return v
}`)
	got := strings.Split(guesttest.Outcome(t, g, guesttest.Batch(`1`, `"loop"`, `2`, `"grow"`, `"regex"`, `3`, `"catch"`, `4`, `"fill"`, `"big"`, `5`)), "\n")
	for i, want := range []string{"1", "!fuel price.ts was stopped", "2", "!limit price.ts is out of memory", "!fuel", "3", "!fuel", "4", "!fuel price.ts was stopped", "!fuel price.ts was stopped", "5"} {
		if !strings.HasPrefix(got[i], want) {
			t.Errorf("%d: %q, want %q", i, got[i], want)
		}
	}
}

func TestAnErrorStartsTheScriptAfresh(t *testing.T) {
	g := newRig(t).Guest(`let n = 0
export function map(v) { n++; if (v === "throw") throw new Error("no"); return n }`)
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch("0", "0")), "1", "2")
	guesttest.Outcome(t, g, guesttest.Batch(`"throw"`))
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch("0")), "1")
	for range 200 {
		guesttest.Outcome(t, g, guesttest.Batch(`"throw"`, `0`))
	}
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch("0")), "1")
}

func TestLargeBatchesAnswerInOrder(t *testing.T) {
	g := newRig(t).Guest(`export const map = (v, rec) => [v, rec.offset, "x".repeat(v % 7 === 0 ? 5000 : 1)]`)
	var values []string
	for i := range 3000 {
		values = append(values, fmt.Sprint(i))
	}
	b := guesttest.Batch(values...)
	if err := g.Process(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	for i, r := range b.Records {
		if !strings.HasPrefix(string(r.Value), fmt.Sprintf("[%d,%d,", i, i)) {
			t.Fatalf("record %d became %.40s", i, r.Value)
		}
	}
}

func TestAStepMustSuitItsScript(t *testing.T) {
	r := newRig(t)
	for script, want := range map[string]string{
		`export const map = v => v; export const flatMap = v => [v]`:    "price.ts has map and flatMap",
		`function map(v) { return v }`:                                  "price.ts: TypeError: nothing is exported: write export before filter, map or flatMap",
		`export const other = 1`:                                        "price.ts has none of the functions filter, map and flatMap",
		`export const map = 1`:                                          "the export map is no function",
		`export const map = v => v`:                                     "use it as a transform",
		`throw new TypeError("at the top")`:                             "price.ts:1:11: TypeError: at the top",
		`export async function init() {}; export const filter = v => v`: "init returned a Promise",
		`for (;;);`: "price.ts was stopped",
	} {
		if _, err := r.Start(script, runtime.Filter); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want %q", script, err, want)
		}
	}
}

// TestAScriptThatNeverEndsIsStoppedWhereverItIs shifts the place at which fuel runs out between two questions of the engine.
func TestAScriptThatNeverEndsIsStoppedWhereverItIs(t *testing.T) {
	r := newRig(t)
	for shift := range 8 {
		script := "const a = new Uint8Array(8 << 20);" + strings.Repeat("a.fill(7);", shift) + "for (;;);"
		if _, err := r.Start(script, runtime.Filter); err == nil || !strings.Contains(err.Error(), "price.ts was stopped: it has spent its fuel of 500000000 units, before it was ready") {
			t.Errorf("%d: %v", shift, err)
		}
	}
}

func TestAScriptIsGivenTheFieldsThatItWants(t *testing.T) {
	g := newRig(t).Guest(`
		export const fields = ["price", "a.b"];
		export const filter = v => v.price !== 0;
		export const map = v => v;`)
	if got := strings.Join(g.Fields(), " "); got != "price a.b" {
		t.Errorf("it wants %s", got)
	}
	b := guesttest.Batch(`{"x":[1,{"price":7}],"price":1.5}`, `{"price":0,"x":1}`, `{"a.b":"\u00e9","x":"y"}`, `[1]`, `{"price":`, `{"pric\u0065":1,"price":{"a":null}}`)
	guesttest.Check(t, guesttest.Outcome(t, g, b), `{"price":1.5}`, "filtered", `{"a.b":"é"}`,
		"!decode the value is JSON, but no object, so it has no fields", "!decode the value is not JSON: it goes wrong at byte 10", `{"price":{"a":null}}`)
}

func TestFieldsAreThoseOfTheirRecordWhetherOneIsLackingOrNot(t *testing.T) {
	g := newRig(t).Guest(`
		export const fields = ["__proto__", "a", "0"];
		export const map = v => [Object.keys(v).sort(), v.a, v["__proto__"], Object.getPrototypeOf(v) === Object.prototype];`)
	whole := []string{`{"a":1,"0":[],"__proto__":{"x":1}}`, `{"x":0,"0":null,"__proto__":2,"a":{"a":3}}`}
	want := []string{`[["0","__proto__","a"],1,{"x":1},true]`, `[["0","__proto__","a"],{"a":3},2,true]`}
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch(whole...)), want...)
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch(append(whole, `{"__proto__":4}`)...)), append(want, `[["__proto__"],null,4,true]`)...)
}

func TestAFilterOfFieldsPassesTheOriginalBytes(t *testing.T) {
	g := newRig(t).Guest(`export const fields = ["price"]; export const filter = v => v.price > 1`)
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch(`{ "price":2.50, "x":1 }`, `{"price":1}`)), `{ "price":2.50, "x":1 }`, "filtered")
}

func TestFieldsOfAWrongFormKeepAScriptFromStarting(t *testing.T) {
	r := newRig(t)
	for fields, want := range map[string]string{
		`"price"`: "fields is no list of names", `[1]`: "fields is no list of names", `[""]`: "price.ts: fields: field 1", `["a","a"]`: `the field "a" is wanted twice`,
		`Array.from({ length: 65 }, (_, i) => "f" + i)`: "over the limit of 64",
	} {
		if _, err := r.Start(`export const fields = `+fields+`; export const filter = v => true`, runtime.Filter); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", fields, err)
		}
	}
	if _, err := r.Start(`export const fields = ["a"]; export const filter = v => true`, runtime.Filter, inBytes); err == nil || !strings.Contains(err.Error(), "bytes") {
		t.Errorf("fields of bytes: %v", err)
	}
}

func TestConsoleGoesToTheLog(t *testing.T) {
	r := newRig(t)
	guesttest.Outcome(t, r.Guest(`export function map(v) { console.warn("seen", v, { a: 1 }); return v }`), guesttest.Batch("1"))
	if !strings.Contains(r.Log.String(), `level=WARN msg="seen 1 {\"a\":1}" plugin=price step=step`) {
		t.Errorf("the log is %s", r.Log.String())
	}
}

func TestTheClockIsThatOfTheBatch(t *testing.T) {
	g := newRig(t).Guest(`export const map = v => Math.floor(Date.now() / 1000)`)
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch("0", "0")), "1", "1")
}

func TestSourceErrorsHaveAPlace(t *testing.T) {
	r := newRig(t)
	secret := filepath.Join(filepath.Dir(r.Dir), "outside.ts")
	if err := os.WriteFile(secret, []byte("export const x = 1"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, filepath.Join(r.Dir, "link.ts")); err != nil {
		t.Fatal(err)
	}
	for script, want := range map[string]string{
		"export const a = 1\nexport const map = v => {": "price.ts:2:26: Unexpected end of file\n     2 | export const map = v => {\n       |                          ^",
		"import x from \"lodash\"; x()":                 `price.ts:1:15: a script imports files of its own folder only, such as "./lodash"`,
		"import x from \"../outside\"; x()":             "there is no ../outside in the folder of the script",
		"import x from \"./link\"; x()":                 "there is no link in the folder of the script",
		"import x from \"/etc/passwd\"; x()":            "a script imports files of its own folder only",
		"import x from \"fs\"; x()":                     "a script imports files of its own folder only",
		"await 1":                                       "Top-level await",
	} {
		if _, err := Compile(r.Write("price.ts", script)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n%v\nwant %q", script, err, want)
		}
	}
	if _, err := Compile(r.Write("price.py", "")); err == nil || !strings.Contains(err.Error(), "price.py is no .ts") {
		t.Errorf("a file of another language: %v", err)
	}
}

func TestTheDigestIsThatOfTheSource(t *testing.T) {
	r := newRig(t)
	text := "export const map = v => v"
	s, err := Compile(r.Write("price.js", text))
	if err != nil || s.Digest() != fmt.Sprintf("%x", sha256.Sum256([]byte(text))) {
		t.Errorf("one file: %v, %v", s, err)
	}
	r.Write("a.js", "export default 1")
	importing := "import a from './a.js'; export const map = v => a"
	first, err := Compile(r.Write("price.js", importing))
	if err != nil {
		t.Fatal(err)
	}
	r.Write("a.js", "export default 2")
	second, err := Compile(r.Write("price.js", importing))
	if err != nil || first.Digest() == second.Digest() {
		t.Errorf("a changed neighbour leaves the digest at %s: %v", first.Digest(), err)
	}
}

func TestNumbersAndChanceAreAsTheGuideSays(t *testing.T) {
	r := newRig(t)
	guesttest.Check(t, guesttest.Outcome(t, r.Guest(`export const map = v => v`), guesttest.Batch("12345678901234567890", "1.50")), "12345678901234567000", "1.5")
	guesttest.Check(t, guesttest.Outcome(t, r.Guest(`export const map = v => ({ v: JSON.rawJSON("1.50") })`), guesttest.Batch("1")), `{"v":1.50}`)
	random := `export const map = v => Math.random()`
	if first, second := guesttest.Outcome(t, r.Guest(random), guesttest.Batch("1", "2")), guesttest.Outcome(t, r.Guest(random), guesttest.Batch("1", "2")); first != second {
		t.Errorf("chance is %s, then %s", first, second)
	}
}

// TestOddJSONCostsItsRecord gives a script values that parsers part over, among good ones.
func TestOddJSONCostsItsRecord(t *testing.T) {
	g := newRig(t).Guest("export const map = v => v")
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	cases := []struct{ value, want string }{
		{deep(1000), deep(1000)}, {deep(1001), "!decode the value nests deeper than 1000 levels"}, {deep(100_000), "!decode"}, {strings.Repeat(`{"a":`, 10_000), "!decode"},
		{`"` + strings.Repeat(`[\"`, 2000) + `"`, `"[\"`}, {"{\"a\":\"\xff\"}", "!decode the value is not UTF-8"}, {"\uFEFF1", "!decode"},
		{"{\"a\":\"\x00\"}", "!decode"}, {"{\"a\":\n\"x\ny\"}", "!decode the value is not JSON: it goes wrong at byte"}, {"", "!decode"}, {"1 2", "!decode"}, {"NaN", "!decode"},
		{`{"a":1,"a":2}`, `{"a":2}`}, {`"\ud800"`, `"\ud800"`}, {`"\u0000"`, `"\u0000"`}, {`-0`, ""}, {`1e400`, ""}, {strings.Repeat("9", 10_000), ""}, {`{"__proto__":1}`, `{"__proto__":1}`},
	}
	var values []string
	for _, c := range cases {
		values = append(values, c.value, `"good"`)
	}
	for range 2 {
		got := strings.Split(guesttest.Outcome(t, g, guesttest.Batch(values...)), "\n")
		if len(got) != len(values) {
			t.Fatalf("%d lines of %d records", len(got), len(values))
		}
		for i, c := range cases {
			if !strings.HasPrefix(got[2*i], c.want) || got[2*i+1] != `"good"` {
				t.Errorf("%.30q came to %.200q, want %q; the next to %.100q", c.value, got[2*i], c.want, got[2*i+1])
			}
		}
	}
}

func TestAScriptThatLeaksIsRecycled(t *testing.T) {
	for _, memory := range []int64{16 << 20, 32 << 20} { // less what is not the script's
		newRig(t).Recycled(`const all = []; export function map(v) { all.push(new Uint8Array(1 << 16)); return v + 1 }`,
			func(_ runtime.Dialect, s *runtime.Source) { s.Limits.MemoryBytes = memory })
	}
}

// TestAFullMemoryLeavesTheNextAllOfTheirs has records that take most of what the engine has.
func TestAFullMemoryLeavesTheNextAllOfTheirs(t *testing.T) {
	for memory, most := range map[int64]int{4 << 20: 13, 6 << 20: 20, 8 << 20: 33, 16 << 20: 110, 32 << 20: 250} {
		newRig(t).Filled(fmt.Sprintf(`export function map(v) { const all = []; for (let i = 0; v === 0 || i < %d; i++) all.push(new Uint8Array(100_000)); return v }`, most), memory)
	}
}

func TestWhatAScriptThrowsAtItsStartIsOnePrintableLine(t *testing.T) {
	_, err := newRig(t).Start(`throw new Error("\x1b[31mred\u202e\nnext")`, runtime.Transform)
	if err == nil || !strings.Contains(err.Error(), `Error: �[31mred�`) || strings.ContainsAny(err.Error(), "\x1b\u202e\n") {
		t.Errorf("the error is %q", err)
	}
}
