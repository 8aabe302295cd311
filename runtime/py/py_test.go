package py

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/internal/guesttest"
	"github.com/streamproc/streamproc/internal/python"
	"github.com/streamproc/streamproc/internal/scripttest"
	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/runtime/script"
)

func newRig(t testing.TB) *scripttest.Rig {
	t.Helper()
	file, err := python.Engine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	engine, err := Engine(file, python.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return scripttest.New(t, scripttest.Language{Dialect: &Script{}, Engine: engine, File: "price.py", CacheDir: python.Cache(file),
		Read: func(file string) (runtime.Dialect, error) { return Read(file) }})
}

func inBytes(d runtime.Dialect, _ *runtime.Source) { d.(*Script).Bytes = true }

func TestAScriptFiltersAndMaps(t *testing.T) {
	g := newRig(t).Guest(`
def filter(v): return v["price"] > 100
def map(v): return {**v, "symbol": v["symbol"].lower()}
`)
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch(`{"symbol":"ÄBC","price":150.5}`, `{"symbol":"X","price":1}`, " {\n\"symbol\":\"N\",\r\n\"price\": 101}\n")),
		`{"symbol":"äbc","price":150.5}`, "filtered", `{"symbol":"n","price":101}`)
}

func TestNoneDropsAndFlatMapMultiplies(t *testing.T) {
	r := newRig(t)
	g := r.Guest(`def map(v): return None if v is None or v == 0 else v + 1`)
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch("null", "1", "0")), "filtered", "2", "filtered")
	g = r.Guest(`
def flat_map(v):
    for i in range(v["n"]):
        yield None if i == 2 else i`)
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch(`{"n":2}`, `{"n":0}`, `{"n":1}`, `{"n":4}`)), "0", "1", "filtered", "0", "0", "1", "3")
}

func TestAFilterPassesTheOriginalBytes(t *testing.T) {
	g, err := newRig(t).Start("def filter(v):\n  v['changed'] = True\n  return v['keep']", runtime.Filter)
	if err != nil {
		t.Fatal(err)
	}
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch(`{ "keep" : 1e0 }`, `{"keep":false}`, `{"keep":true,"big":12345678901234567890}`)),
		`{ "keep" : 1e0 }`, "filtered", `{"keep":true,"big":12345678901234567890}`)
}

func TestTombstonesPass(t *testing.T) {
	b := guesttest.Batch("1", "2")
	b.Records[0].Value = nil
	guesttest.Check(t, guesttest.Outcome(t, newRig(t).Guest(`map = lambda v: -v`), b), "null", "-2")
}

func TestTheRecordIsThereForThoseWhoAsk(t *testing.T) {
	r := newRig(t)
	for _, script := range []string{`def map(v, rec): return vars(rec)`, `def map(*all): return vars(all[1])`, `def map(v, rec=None): return vars(rec)`} {
		guesttest.Check(t, guesttest.Outcome(t, r.Guest(script), guesttest.Batch("1")),
			`{"key":"k0","headers":{"h":"x","n":null},"timestamp":1000,"topic":"t","partition":2,"offset":0}`)
	}
}

func TestInitGetsTheConfiguration(t *testing.T) {
	script := `
def init(config):
    global least
    least = config["least"]

def filter(v): return v >= least`
	r := newRig(t)
	guesttest.Check(t, guesttest.Outcome(t, r.Guest(script, scripttest.Config(`{"least":5}`)), guesttest.Batch("4", "5")), "filtered", "5")
	_, err := r.Start(script, runtime.Filter)
	if err == nil || !strings.Contains(err.Error(), "price.py:4:13: KeyError: 'least' (in init)") {
		t.Errorf("without its setting: %v", err)
	}
}

func TestBytesComeAsTheyAre(t *testing.T) {
	r := newRig(t)
	g := r.Guest(`def map(v): return "empty" if v == b"" else v[::-1]`, inBytes)
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch("ab\xff\n", "", "xyz")), "\n\xffba", "empty", "zyx")
	g = r.Guest(`def flat_map(v): return [w + "é" for w in v.decode().split(" ")]`, inBytes)
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch("ä ö", "", "\xff")), "äé", "öé", "é",
		"!error price.py:1:44: UnicodeDecodeError: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte (in flat_map)")
	g = r.Guest(`def map(v): return {}`, inBytes)
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch("a")), "!error price.py: TypeError: with decode: bytes the result must be bytes or a str")
}

func TestAnErrorCostsItsRecordAndSaysWhere(t *testing.T) {
	r := newRig(t)
	r.Write("lower.py", "# a neighbour\ndef lower(s):\n    return s.lower()\n")
	g := r.Guest(`
from lower import lower

class Odd(Exception):
    def __str__(self): return 1

def map(v):
    if v["symbol"] == "odd": raise Odd()
    return {"symbol": lower(v["symbol"])}`)
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch(`{"symbol":"A"}`, `{}`, `{"symbol":5}`, `{"symbol":"odd"}`, `nonsense`, "NaN", "1 2", "\xff", "{\"a\":\"\n\"}", `{"symbol":"B"}`)),
		`{"symbol":"a"}`,
		`!error price.py:8:8: KeyError: 'symbol' (in map)`,
		`!error lower.py:3:12: AttributeError: 'int' object has no attribute 'lower' (in lower)`,
		`!error price.py:8:30: Odd (in map)`,
		`!decode the value is not JSON: it goes wrong at byte 2`,
		`!decode the value is not JSON: it goes wrong at byte 1`,
		`!decode the value is not JSON: it goes wrong at byte 3`,
		`!decode the value is not UTF-8, so it is not JSON`,
		`!decode the value is not JSON: it goes wrong at byte 7`,
		`{"symbol":"b"}`)
	if r.Traps != 0 {
		t.Errorf("the instance was replaced %d times", r.Traps)
	}
}

func TestAnswersThatAreNoneFailTheirRecord(t *testing.T) {
	g := newRig(t).Guest(`
import sys
def map(v):
    if v == 0: return {1}
    if v == 1: return float("nan")
    if v == 2: v = []; v.append(v); return v
    if v == 3: return map(v)
    if v == 4: sys.exit(3)
    if v == 5: return "\ud800"
    return v`)
	got := strings.Split(guesttest.Outcome(t, g, guesttest.Batch("0", "1", "2", "3", "4", "5", "6")), "\n")
	for i, want := range []string{"set is not JSON serializable", "not JSON compliant", "RecursionError", "RecursionError", "SystemExit: 3", `"\ud800"`, "6"} {
		if !strings.Contains(got[i], want) {
			t.Errorf("%d: %q lacks %q", i, got[i], want)
		}
	}
}

func TestWhatTheEngineCannotSurviveCostsItsRecord(t *testing.T) {
	r := newRig(t)
	g := r.Guest(`
import os
def map(v):
    while v == "loop": pass
    if v == "grow": return "x" * (1 << 28)
    if v == "leave": os._exit(3)
    if v == "forge": os.write(1, b"X\0\0\0\0")
    if v == "read": os.read(0, 1)
    return v`)
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch(`"a"`, `"loop"`, `"b"`, `"grow"`, `"c"`, `"leave"`, `"d"`, `"forge"`, `"read"`, `"e"`)),
		`"a"`, "!fuel price.py was stopped: it has spent its fuel of 400000000 units",
		`"b"`, "!limit price.py is out of memory: the limit memory is 33554432 bytes",
		`"c"`, "!error price.py ended the engine, with code 3",
		`"d"`, "!contract the engine writes a frame of the unknown kind 'X'",
		"!contract the engine answers record 0: not at all", `"e"`)
	if r.Traps == 0 {
		t.Error("no trap was told of")
	}
}

func TestAScriptStartsAfreshAfterAnError(t *testing.T) {
	r := newRig(t)
	r.Write("counter.py", "n = 0\n")
	g := r.Guest(`
import counter
def map(v):
    if v == "raise": raise ValueError
    counter.n += 1
    return counter.n`)
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch("0", "0")), "1", "2")
	life := g.Lives()
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch("0")), "3")
	if g.Lives() != life {
		t.Error("it is said to have lost its memory")
	}
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch("0", `"raise"`, "0")), "4", "!error price.py:4:22: ValueError (in map)", "5")
	if g.Lives() == life {
		t.Error("nothing says that it has lost its memory")
	}
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch("0")), "1")
}

func TestLargeBatchesAnswerInOrder(t *testing.T) {
	g := newRig(t).Guest(`def map(v, rec): return [v, rec.offset, "x" * (5000 if v % 7 == 0 else 1)]`)
	var values []string
	for i := range 2000 {
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
		"map = flat_map = lambda v: [v]": "has map and flat_map",
		"other = 1":                      "has none of the functions filter, map and flat_map",
		"map = 1":                        "price.py: TypeError: map is no function",
		"map = lambda v: v":              "use it as a transform",
		`raise TypeError("at the top")`:  "price.py:1:1: TypeError: at the top",
		"x = (":                          "price.py:1:5: SyntaxError: '(' was never closed",
		"import nothing":                 "price.py:1:1: ModuleNotFoundError: No module named 'nothing'",
		"async def filter(v): pass":      "filter is async or a generator; a script must answer at once",
		"def filter(v): yield v":         "filter is async or a generator; a script must answer at once",
		"while True: pass":               "it spent more than the limit fuel of 8000000000 units",
		"import os; os.read(0, 1)":       "is it a Python?",
		"x = 'x' * (1 << 28)":            "price.py is out of memory: the limit memory is 33554432 bytes",
	} {
		if _, err := r.Start(script, runtime.Filter); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want %q", script, err, want)
		}
	}
}

func TestAScriptReachesNothing(t *testing.T) {
	g := newRig(t).Guest(`
import os, socket
tries = {
    "file": lambda: open("/etc/passwd"),
    "folder": lambda: os.listdir("/"),
    "write": lambda: open("out", "w"),
    "network": lambda: socket.create_connection(("127.0.0.1", 80)),
    "environment": lambda: 1 / len(os.environ),
}
def map(v): return str(tries[v]())`)
	got := guesttest.Outcome(t, g, guesttest.Batch(`"file"`, `"folder"`, `"write"`, `"network"`, `"environment"`))
	for i, line := range strings.Split(got, "\n") {
		if !strings.HasPrefix(line, "!error price.py:") {
			t.Errorf("%d: %s", i, line)
		}
	}
}

func TestAScriptIsGivenTheFieldsThatItWants(t *testing.T) {
	r := newRig(t)
	g := r.Guest("fields = ('price', 'id')\ndef map(v):\n    return {**v, 'twice': v['price'] * 2}")
	if got := strings.Join(g.Fields(), " "); got != "price id" {
		t.Errorf("it wants %s", got)
	}
	b := guesttest.Batch(`{"x":[1,{"price":7}],"price":2}`, `{"id":"a"}`, `{"id":"b","price":3,"price":4}`, `null`, `{"price":`+strings.Repeat("1", 5000)+`}`)
	guesttest.Check(t, guesttest.Outcome(t, g, b), `{"price":2,"twice":4}`, "!error price.py:3:27: KeyError: 'price' (in map)", `{"price":4,"id":"b","twice":8}`,
		"!decode the value is JSON, but no object, so it has no fields", "!decode the value is not JSON that the engine can read")
	if _, err := r.Start("fields = 'price'\ndef filter(v):\n    return True", runtime.Filter); err == nil || !strings.Contains(err.Error(), "fields is no list of names") {
		t.Errorf("a text as a list: %v", err)
	}
	if _, err := r.Start("fields = ['a', 'a']\ndef filter(v):\n    return True", runtime.Filter); err == nil || !strings.Contains(err.Error(), "wanted twice") {
		t.Errorf("a name twice: %v", err)
	}
	if _, err := r.Start("fields = ['a']\ndef filter(v):\n    return True", runtime.Filter, inBytes); err == nil || !strings.Contains(err.Error(), "bytes") {
		t.Errorf("fields of bytes: %v", err)
	}
}

func TestPrintGoesToTheLog(t *testing.T) {
	r := newRig(t)
	guesttest.Outcome(t, r.Guest("import sys\ndef map(v):\n  print('seen', v, end=''); print('', v)\n  print('odd', file=sys.stderr)"), guesttest.Batch("1"))
	for _, want := range []string{`level=INFO msg="seen 1 1" plugin=price step=step`, `level=WARN msg=odd plugin=price step=step`} {
		if !strings.Contains(r.Log.String(), want) {
			t.Errorf("the log lacks %s: %s", want, r.Log.String())
		}
	}
}

func TestTheClockIsThatOfTheBatchAndNumbersAreExact(t *testing.T) {
	r := newRig(t)
	guesttest.Check(t, guesttest.Outcome(t, r.Guest("import time, datetime\nmap = lambda v: [int(time.time()), datetime.datetime.now().isoformat()[:19]]"), guesttest.Batch("0")),
		`[1,"1970-01-01T00:00:01"]`)
	guesttest.Check(t, guesttest.Outcome(t, r.Guest("map = lambda v: v"), guesttest.Batch("12345678901234567890", "1.50")), "12345678901234567890", "1.5")
	random := "import random\nmap = lambda v: random.random()"
	if first, second := guesttest.Outcome(t, r.Guest(random), guesttest.Batch("1", "2")), guesttest.Outcome(t, r.Guest(random), guesttest.Batch("1", "2")); first != second {
		t.Errorf("chance is %s, then %s", first, second)
	}
}

func TestOnlyTheEngineThatIsNamedRuns(t *testing.T) {
	file := filepath.Join(t.TempDir(), "python.wasm")
	if err := os.WriteFile(file, []byte("\x00asm\x01\x00\x00\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Engine(file, python.SHA256); !errors.Is(err, runtime.ErrDigest) {
		t.Errorf("another engine: %v", err)
	}
	r := newRig(t)
	b, err := Engine(file, "")
	if err != nil {
		t.Fatal(err)
	}
	r.Engine = b
	if _, err := r.Start("map = lambda v: v", runtime.Transform); err == nil || !strings.Contains(err.Error(), "which exports _start") {
		t.Errorf("a module that is no engine: %v", err)
	}
}

func TestTheDigestIsThatOfTheSource(t *testing.T) {
	r := &scripttest.Rig{TB: t, Dir: t.TempDir()}
	read := func() *Script {
		t.Helper()
		s, err := Read(filepath.Join(r.Dir, "price.py"))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	text := "import json, price\nmap = lambda v: v\n"
	r.Write("price.py", text)
	if got := read().Digest(); got != fmt.Sprintf("%x", sha256.Sum256([]byte(text))) {
		t.Errorf("one file: %s", got)
	}
	r.Write("a.py", "from b import x\n")
	r.Write("b.py", "x = 1\n")
	r.Write("unused.py", "x = 1\n")
	r.Write("price.py", "def f():\n    import os.path as p, a as b; return p\n")
	s := read()
	if len(s.files) != 3 {
		t.Errorf("read %d files", len(s.files))
	}
	r.Write("b.py", "x = 2\n")
	if read().Digest() == s.Digest() {
		t.Error("a changed neighbour leaves the digest as it is")
	}
}

func TestAScriptIsReadFromItsFolderAlone(t *testing.T) {
	r := &scripttest.Rig{TB: t, Dir: filepath.Join(t.TempDir(), "scripts")}
	if err := os.Mkdir(r.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(filepath.Dir(r.Dir), "outside.py")
	if err := os.WriteFile(outside, []byte("x = 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(r.Dir, "link.py")); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"import link":                        "reading link.py",
		"x = '" + strings.Repeat("x", 4<<20): "over the limit of 4194304 bytes",
		"\xff":                               "not UTF-8",
	} {
		if _, err := Read(r.Write("price.py", text)); !errors.Is(err, script.ErrSource) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: error is %v, want %q", text, err, want)
		}
	}
	if _, err := Read(r.Write("price.ts", "")); err == nil || !strings.Contains(err.Error(), "price.ts is no .py file") {
		t.Errorf("a file of another language: %v", err)
	}
}

func TestAScriptThatLeaksIsRecycled(t *testing.T) {
	newRig(t).Recycled("all = []\ndef map(v):\n    all.append(bytearray(65536))\n    return v + 1\n")
}
