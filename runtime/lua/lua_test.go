package lua

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/internal/guesttest"
	"github.com/streamproc/streamproc/internal/scripttest"
	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/runtime/script"
)

func TestMain(m *testing.M) { os.Exit(scripttest.Main(m)) }

func newRig(t testing.TB) *scripttest.Rig {
	t.Helper()
	return scripttest.New(t, scripttest.Language{Dialect: &Script{}, Engine: Engine, File: "price.lua",
		Read: func(file string) (runtime.Dialect, error) { return Read(file) }})
}

func inBytes(d runtime.Dialect, _ *runtime.Source) { d.(*Script).Bytes = true }

func TestTheEngineIsTheFileThatItsOriginNames(t *testing.T) {
	digest := fmt.Sprintf("%x", sha256.Sum256(Engine))
	origin, err := os.ReadFile("engine/ORIGIN.md")
	if err != nil {
		t.Fatal(err)
	}
	if digest != EngineSHA256 || !strings.Contains(string(origin), digest) {
		t.Errorf("the engine is %s; script.go and ORIGIN.md must say so", digest)
	}
}

func TestAScriptFiltersAndMaps(t *testing.T) {
	g := newRig(t).Guest(`
function filter(v) return v.price > 100 end
function map(v) v.symbol = v.symbol:lower() return v end
`)
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch(`{"symbol":"ABC","price":150.5}`, `{"symbol":"X","price":1}`, " {\n\"symbol\":\"N\",\r\n\"price\": 101}\n")),
		`{"price":150.5,"symbol":"abc"}`, "filtered", `{"price":101,"symbol":"n"}`)
}

func TestNilDropsNullPassesAndFlatMapMultiplies(t *testing.T) {
	r := newRig(t)
	g := r.Guest(`function map(v) if v == null then return nil end if v == 0 then return null end return v + 1 end`)
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch("null", "1", "0")), "filtered", "2", "null")
	g = r.Guest(`function flat_map(v) if not v.n then return nil end local all = {} for i = 1, v.n do all[i] = i end return all end`)
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch(`{"n":2}`, `{"n":0}`, `{}`, `{"n":1}`, `{"n":3}`)), "1", "2", "filtered", "filtered", "1", "1", "2", "3")
}

func TestAFilterPassesTheOriginalBytes(t *testing.T) {
	g, err := newRig(t).Start("function filter(v) v.changed = true return v.keep end", runtime.Filter)
	if err != nil {
		t.Fatal(err)
	}
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch(`{ "keep" : 1e0 }`, `{"keep":false}`, `{"keep":true,"big":12345678901234567890}`)),
		`{ "keep" : 1e0 }`, "filtered", `{"keep":true,"big":12345678901234567890}`)
}

func TestTombstonesPass(t *testing.T) {
	b := guesttest.Batch("1", "2")
	b.Records[0].Value = nil
	guesttest.Check(t, guesttest.Outcome(t, newRig(t).Guest(`function map(v) return -v end`), b), "null", "-2")
}

func TestTheRecordIsThereForThoseWhoAsk(t *testing.T) {
	r := newRig(t)
	for _, text := range []string{`function map(v, rec) return rec end`, `function map(...) return select(2, ...) end`} {
		guesttest.Check(t, guesttest.Outcome(t, r.Guest(text), guesttest.Batch("1", "x", "2")),
			`{"headers":{"h":"x","n":null},"key":"k0","offset":0,"partition":2,"timestamp":1000,"topic":"t"}`,
			"!decode the value is not JSON: it goes wrong at byte 1",
			`{"headers":{"h":"x","n":null},"key":"k2","offset":2,"partition":2,"timestamp":1002,"topic":"t"}`)
	}
}

func TestInitGetsTheConfiguration(t *testing.T) {
	text := `local least
function init(config)
  least = config.least or error("least is missing")
end
function filter(v) return v >= least end`
	r := newRig(t)
	guesttest.Check(t, guesttest.Outcome(t, r.Guest(text, scripttest.Config(`{"least":5}`)), guesttest.Batch("4", "5")), "filtered", "5")
	_, err := r.Start(text, runtime.Filter)
	if err == nil || !strings.Contains(err.Error(), "price.lua:3: least is missing") {
		t.Errorf("without its setting: %v", err)
	}
}

func TestBytesComeAsTheyAre(t *testing.T) {
	r := newRig(t)
	g := r.Guest(`function map(v) if v == "" then return "empty" end return v:reverse() end`, inBytes)
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch("ab\xff\n", "", "xyz")), "\n\xffba", "empty", "zyx")
	g = r.Guest(`function flat_map(v) local all = {} for w in v:gmatch("%S+") do all[#all + 1] = w .. "é" end return all end`, inBytes)
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch("ä ö", "", "b")), "äé", "öé", "filtered", "bé")
	g = r.Guest(`function map(v) return v == "b" and v or {} end`, inBytes)
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch("a", "b")), "!error price.lua: with decode: bytes the result must be a string", "b")
}

func TestAnErrorCostsItsRecordAndSaysWhere(t *testing.T) {
	r := newRig(t)
	r.Write("lower.lua", "-- a neighbour\nreturn function(s)\n  return s:lower()\nend\n")
	g := r.Guest(`
local lower = require("lower")
function map(v)
  if v.symbol == "odd" then error({ code = 1 }) end
  if v.symbol == "worse" then error(setmetatable({}, { __tostring = function() error("again") end })) end
  if v.symbol == "bare" then error("no place", 0) end
  return { symbol = lower(v.symbol) }
end`)
	got := strings.Split(guesttest.Outcome(t, g, guesttest.Batch(`{"symbol":"A"}`, `{}`, `{"symbol":true}`, `{"symbol":"odd"}`, `{"symbol":"worse"}`, `{"symbol":"bare"}`,
		`nonsense`, "NaN", "1 2", "\xff", "{\"a\":\"\n\"}", `{"symbol":"B"}`)), "\n")
	for i, want := range []string{
		`{"symbol":"a"}`,
		`!error lower.lua:3: attempt to index a nil value (local 's')`,
		`!error lower.lua:3: attempt to index a boolean value (local 's')`,
		`!error price.lua: table: 0x`,
		`!error price.lua: an error that cannot be shown`,
		`!error price.lua: no place`,
		`!decode the value is not JSON: it goes wrong at byte 2`,
		`!decode the value is not JSON: it goes wrong at byte 1`,
		`!decode the value is not JSON: it goes wrong at byte 3`,
		`!decode the value is not UTF-8, so it is not JSON`,
		`!decode the value is not JSON: it goes wrong at byte 7`,
		`{"symbol":"b"}`,
	} {
		if !strings.HasPrefix(got[i], want) {
			t.Errorf("%d: %q, want %q", i, got[i], want)
		}
	}
	if r.Traps != 0 {
		t.Errorf("the instance was replaced %d times", r.Traps)
	}
}

// What is thrown is caught where the script says so, as deep as it likes, and what it had on its stacks is as it was.
func TestWhatIsThrownCanBeCaught(t *testing.T) {
	g := newRig(t).Guest(`
local function nest(n) if n == 0 then error("deep", 0) end local ok, e = pcall(nest, n - 1) error(e .. "<" .. n, 0) end
function map(v)
  if v == 0 then local ok, e = pcall(error, { code = 7 }) return e end
  if v == 1 then local ok, e = pcall(nest, 3) return e end
  if v == 2 then return select(2, xpcall(function() local x = nil; return x.y end, function(e) return "handled: " .. e end)) end
  if v == 3 then
    local producer = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end)
    return { producer(), producer(), producer() }
  end
  if v == 4 then local n = 0 for i = 1, 2000 do if not pcall(error) then n = n + 1 end end return n end
  if v == 5 then
    local function forever() return pcall(forever) or forever() end
    local function deeper(n) local ok, e = pcall(deeper, n + 1) return ok and e or n end
    return deeper(0) > 100
  end
  if v == 6 then local function f() return f() + 1 end return select(2, pcall(f)):match("stack overflow") end
  if v == 7 then local co = coroutine.create(function() error("inside", 0) end) return { coroutine.resume(co) } end
  return v
end`)
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch("0", "1", "2", "3", "4", "5", "6", "7", "8")),
		`{"code":7}`, `"deep<1<2<3"`, `"handled: price.lua:6: attempt to index a nil value (local 'x')"`, "[1,2,3]", "2000", "true", `"stack overflow"`, `[false,"inside"]`, "8")
}

func TestAnswersThatAreNoneFailTheirRecord(t *testing.T) {
	g := newRig(t).Guest(`
function map(v)
  if v == 0 then return print end
  if v == 1 then return 0 / 0 end
  if v == 2 then local t = {} t.t = t return t end
  if v == 3 then return { 1, 2, x = 3 } end
  if v == 4 then return { [1.5] = 1 } end
  if v == 5 then return "\xff" end
  if v == 6 then return map(v) + 1 end
  return v
end`)
	got := strings.Split(guesttest.Outcome(t, g, guesttest.Batch("0", "1", "2", "3", "4", "5", "6", "7")), "\n")
	for i, want := range []string{"a function has no form in JSON", "nan has no form", "more than 200 deep", "a list and names", "a key that is a number", "not UTF-8", "stack overflow", "7"} {
		if !strings.Contains(got[i], want) {
			t.Errorf("%d: %q lacks %q", i, got[i], want)
		}
	}
}

func TestARunawayCostsItsRecord(t *testing.T) {
	r := newRig(t)
	g := r.Guest(`
local kept = {}
function map(v)
  while v == "loop" do end
  while v == "catch" do pcall(function() while true do end end) end
  while v == "grow" do kept[#kept + 1] = ("x"):rep(1024):rep(1024) .. #kept end
  if v == "big" then return ("x"):rep(1 << 30) end
  if v == "find" then return (("a"):rep(100000)):find((".-"):rep(50) .. "b") end
  if v == "recurse" then local function f() return pcall(f), pcall(f) end return f() end
  while v == "yield" do coroutine.wrap(function() coroutine.yield() end)() end
  while v == "log" do log.warn("again") end
  return v
end`)
	got := strings.Split(guesttest.Outcome(t, g, guesttest.Batch(`1`, `"loop"`, `2`, `"catch"`, `3`, `"grow"`, `4`, `"big"`, `5`, `"find"`, `6`, `"recurse"`, `7`, `"yield"`, `8`, `"log"`, `9`)), "\n")
	for i, want := range []string{"1", "!fuel price.lua was stopped", "2", "!fuel price.lua was stopped", "3", "!limit price.lua is out of memory", "4", "!limit price.lua is out of memory",
		"5", "!fuel", "6", "!fuel", "7", "!fuel", "8", "!", "9"} {
		if !strings.HasPrefix(got[i], want) {
			t.Errorf("%d: %q, want %q", i, got[i], want)
		}
	}
}

func TestAScriptStartsAfreshAfterAnError(t *testing.T) {
	g := newRig(t).Guest(`local n = 0 function map(v) if v == "raise" then error("no") end n = n + 1 return n end`)
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch("0", "0")), "1", "2")
	life := g.Lives()
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch("0")), "3")
	if g.Lives() != life {
		t.Error("it is said to have lost its memory")
	}
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch("0", `"raise"`, "0")), "4", "!error price.lua:1: no", "5")
	if g.Lives() == life {
		t.Error("nothing says that it has lost its memory")
	}
	for range 200 {
		guesttest.Outcome(t, g, guesttest.Batch(`"raise"`, "0"))
	}
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch("0")), "1")
}

func TestLargeBatchesAnswerInOrder(t *testing.T) {
	g := newRig(t).Guest(`function map(v, rec) return { v, rec.offset, ("x"):rep(v % 7 == 0 and 5000 or 1) } end`)
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
	for text, want := range map[string]string{
		"function map(v) end flat_map = map": "has map and flat_map",
		"other = 1":                          "has none of the functions filter, map and flat_map",
		"map = 1":                            "price.lua: map is no function",
		"function map(v) return v end":       "use it as a transform",
		`error("at the top")`:                "price.lua:1: at the top",
		"x = (":                              "price.lua:1: unexpected symbol near <eof>",
		"\x1bLua":                            "price.lua: attempt to load a binary chunk",
		`require("nothing")`:                 "price.lua:1: require nothing: there is no file nothing.lua beside the script",
		"while true do end":                  "it spent more than the limit fuel of 500000000 units",
	} {
		if _, err := r.Start(text, runtime.Filter); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want %q", text, err, want)
		}
	}
}

func TestAScriptReachesNothing(t *testing.T) {
	g := newRig(t).Guest(`
function map(v)
  local found = {}
  for _, name in ipairs({ "io", "package", "debug", "dofile", "loadfile", "warn" }) do
    if _G[name] ~= nil then found[#found + 1] = name end
  end
  for name in pairs(os) do if not ({ time = 1, date = 1, difftime = 1 })[name] then found[#found + 1] = "os." .. name end end
  if load(string.dump(function() end)) then found[#found + 1] = "binary chunks" end
  return array(found)
end`)
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch("1")), "[]")
}

func TestTheLogTheClockAndChance(t *testing.T) {
	r := newRig(t)
	guesttest.Outcome(t, r.Guest(`function map(v) print("seen", v, null) log.warn("odd") return v end`), guesttest.Batch("1"))
	for _, want := range []string{`level=INFO msg="seen 1 `, `level=WARN msg=odd plugin=price step=step`} {
		if !strings.Contains(r.Log.String(), want) {
			t.Errorf("the log lacks %s: %s", want, r.Log.String())
		}
	}
	guesttest.Check(t, guesttest.Outcome(t, r.Guest(`function map(v) return { os.time(), os.date("!%Y-%m-%dT%H:%M:%SZ") } end`), guesttest.Batch("0")), `[1,"1970-01-01T00:00:01Z"]`)
	random := "function map(v) return math.random() end"
	if first, second := guesttest.Outcome(t, r.Guest(random), guesttest.Batch("1", "2")), guesttest.Outcome(t, r.Guest(random), guesttest.Batch("1", "2")); first != second {
		t.Errorf("chance is %s, then %s", first, second)
	}
}

func TestTheDigestIsThatOfTheSource(t *testing.T) {
	r := &scripttest.Rig{TB: t, Dir: t.TempDir()}
	read := func() *Script {
		t.Helper()
		s, err := Read(filepath.Join(r.Dir, "price.lua"))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	text := "local x = require 'price'\nfunction map(v) return v end\n"
	r.Write("price.lua", text)
	if got := read().Digest(); got != fmt.Sprintf("%x", sha256.Sum256([]byte(text))) {
		t.Errorf("one file: %s", got)
	}
	r.Write("a.lua", "return require('b')\n")
	r.Write("b.lua", "return 1\n")
	r.Write("unused.lua", "return 1\n")
	r.Write("price.lua", `local a = require "a"`)
	s := read()
	if len(s.files) != 3 {
		t.Errorf("read %d files", len(s.files))
	}
	r.Write("b.lua", "return 2\n")
	if read().Digest() == s.Digest() {
		t.Error("a changed neighbour leaves the digest as it is")
	}
}

func TestAScriptIsReadFromItsFolderAlone(t *testing.T) {
	r := &scripttest.Rig{TB: t, Dir: filepath.Join(t.TempDir(), "scripts")}
	if err := os.Mkdir(r.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(filepath.Dir(r.Dir), "outside.lua")
	if err := os.WriteFile(outside, []byte("return 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(r.Dir, "link.lua")); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(r.Write("price.lua", "require 'link'")); !errors.Is(err, script.ErrSource) || !strings.Contains(err.Error(), "reading link.lua") {
		t.Errorf("a link that leaves the folder: %v", err)
	}
	if _, err := Read(r.Write("price.ts", "")); err == nil || !strings.Contains(err.Error(), "price.ts is no .lua file") {
		t.Errorf("a file of another language: %v", err)
	}
}

func TestAScriptMayWantFields(t *testing.T) {
	r := newRig(t)
	g := r.Guest(`fields = { "price", "a.b" } function map(v) return v end`)
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch(`{"x":1,"price":1,"a.b":[2],"price":3}`, `{"x":1}`, `[1]`, `{"price":`)),
		`{"a.b":[2],"price":3}`, `{}`, "!decode the value is JSON, but no object, so it has no fields", "!decode the value is not JSON: it goes wrong at byte 10")
	if got := g.Fields(); strings.Join(got, " ") != "price a.b" {
		t.Errorf("it is said to want %v", got)
	}
	for list, want := range map[string]string{
		`"price"`: "fields is no list of names", `{ 1 }`: "fields is no list of names", `{}`: "fields is no list of names", `{ "" }`: "price.lua: fields: field 1",
		`{ "a", "a" }`: `the field "a" is wanted twice`,
	} {
		if _, err := r.Start("fields = "+list+" function filter(v) return true end", runtime.Filter); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want %q", list, err, want)
		}
	}
	if _, err := r.Start(`fields = { "a" } function filter(v) return true end`, runtime.Filter, inBytes); err == nil || !strings.Contains(err.Error(), "bytes") {
		t.Errorf("fields of bytes: %v", err)
	}
}

func TestAScriptThatLeaksIsRecycled(t *testing.T) {
	newRig(t).Recycled(`local all = {} function map(v) all[#all + 1] = string.rep("x", 65536) .. v return v + 1 end`)
}

// TestAFullMemoryLeavesTheNextAllOfTheirs has records that take most of what the engine has.
func TestAFullMemoryLeavesTheNextAllOfTheirs(t *testing.T) {
	for memory, most := range map[int64]int{1 << 20: 1, 2 << 20: 5, 4 << 20: 20} {
		newRig(t).Filled(fmt.Sprintf(`local long = string.rep("x", 10000) function map(v) local all, i = {}, 0 while v == 0 or i < %d do i = i + 1 all[i] = string.rep(long, 10) .. i end return v end`, most), memory)
	}
}

// TestARecordIsGuiltyOnlyWithAllOfTheMemory has one take what there is, after others that never end: the engine was reset, and what its
// memory had grown was lost to it.
func TestARecordIsGuiltyOnlyWithAllOfTheMemory(t *testing.T) {
	text := `local long = string.rep("x", 10000)
function map(v) local all = {} for i = 1, v do all[i] = string.rep(long, 3) .. i end while v < 60 do end return v end`
	memory := func(_ runtime.Dialect, s *runtime.Source) { s.Limits.MemoryBytes = 4 << 20 }
	r := newRig(t)
	most := 0
	for n := 60; most == 0; n++ { // what there is room for in a fresh one
		if got := guesttest.Outcome(t, r.Guest(text, memory), guesttest.Batch(fmt.Sprint(n))); strings.HasPrefix(got, "!limit") {
			most = n - 1
		}
	}
	g := r.Guest(text, memory)
	for _, few := range []string{"0", "10", "15", "20", "25", "30", "40"} {
		got := strings.Split(guesttest.Outcome(t, g, guesttest.Batch(few, fmt.Sprint(most), fmt.Sprint(most+1))), "\n")
		if !strings.HasPrefix(got[0], "!fuel") || got[1] != fmt.Sprint(most) || !strings.HasPrefix(got[2], "!limit") {
			t.Errorf("with %s before them, %d and one more come to %q", few, most, got)
		}
	}
}
