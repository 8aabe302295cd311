package runtime

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/streamproc/streamproc/internal/hostile"
	"github.com/streamproc/streamproc/runtime/abi"
	"github.com/streamproc/streamproc/runtime/meter"
	"github.com/streamproc/streamproc/stream"
	"github.com/tetratelabs/wazero/api"
)

// TestWhatIsAcceptedCompiles gives the compiler each module of the lists that is let pass, and as many of each thing as there may be.
func TestWhatIsAcceptedCompiles(t *testing.T) {
	rt := newRuntime(t, Options{})
	cases := hostile.Structure()
	for _, s := range hostile.Sizes() {
		cases = append(cases, hostile.Case{Name: s.Name, Module: s.Module(s.Most)})
	}
	for _, c := range cases {
		if c.Want != "" {
			continue
		}
		m, err := meter.Read(c.Module, meter.Default())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := rt.compile(t.Context(), m.Metered(), false); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
}

// TestALoopEndsOnOneProcessor has nobody beside the guest who could end it.
func TestALoopEndsOnOneProcessor(t *testing.T) {
	rt := newRuntime(t, Options{Logger: slog.New(slog.DiscardHandler)})
	for _, n := range []int{1, 2} {
		was := runtime.GOMAXPROCS(n)
		defer runtime.GOMAXPROCS(was)
		for _, a := range hostile.Attacks() {
			if a.Reason != string(stream.ReasonFuel) {
				continue
			}
			p, err := rt.Load(t.Context(), Source{Name: "p", Bytes: a.Module})
			if err != nil {
				t.Fatal(err)
			}
			b := batch("k", "x", "k")
			process(t, startGuest(t, p, Filter, Events{}), b)
			if got := fates(b); got != "k !fuel k" {
				t.Errorf("%s on %d: %s", a.Name, n, got)
			}
		}
	}
}

// TestATrapNamesItsFunction has one whose name would steer a terminal.
func TestATrapNamesItsFunction(t *testing.T) {
	for name, want := range map[string]string{"parse_price": "unreachable in parse_price", "\x1b[31mred\u202e\n": "unreachable in �[31mred�"} {
		for _, a := range hostile.Attacks() {
			if a.Name != "unreachable" {
				continue
			}
			b := batch("x")
			process(t, startGuest(t, load(t, Source{Name: "p", Bytes: hostile.Named(a.Module, 2, name)}), Filter, Events{}), b)
			if c := b.Records[0].Cause; c == nil || !strings.HasPrefix(c.Message, want) || strings.ContainsAny(c.Message, "\x1b\u202e\n") {
				t.Errorf("cause is %+v, want %q", c, want)
			}
		}
	}
}

// TestATrapAtTheStartIsToldInOneLine has one in each phase, in a function whose name would steer a terminal.
func TestATrapAtTheStartIsToldInOneLine(t *testing.T) {
	for _, a := range hostile.Stumbles() {
		_, err := load(t, Source{Name: "p", Bytes: a.Module}).NewGuest(t.Context(), Transform, "s", Events{})
		if err == nil || !strings.HasPrefix(err.Error(), "starting plugin p: ") || !strings.Contains(err.Error(), a.Want) || strings.ContainsAny(err.Error(), "\x1b\u202e\n") {
			t.Errorf("in %s: error is %q", a.Name, err)
		}
	}
}

func TestWhatCrossesTheBorderIsCheckedByName(t *testing.T) {
	rt := newRuntime(t, Options{})
	for _, c := range hostile.Borders() {
		_, err := rt.Load(t.Context(), Source{Name: "p", Bytes: c.Module})
		if c.Want == "" && err != nil || c.Want != "" && (err == nil || !strings.Contains(err.Error(), c.Want) || strings.ContainsAny(err.Error(), "\x1b\u202e\n")) {
			t.Errorf("%s: error is %v, want one with %q", c.Name, err, c.Want)
		}
	}
}

// TestAnImportOfAnotherTypeIsToldWithBoth has one parameter too many for each function of the host.
func TestAnImportOfAnotherTypeIsToldWithBoth(t *testing.T) {
	rt := newRuntime(t, Options{})
	letters := func(types []api.ValueType) (s string) {
		for _, v := range types {
			s += map[api.ValueType]string{api.ValueTypeI32: "i", api.ValueTypeI64: "I"}[v]
		}
		return s
	}
	for _, f := range hostFunctions {
		var m hostile.Module
		m.Import(f.module, f.name, letters(f.sig.params)+"I:"+letters(f.sig.results))
		_, err := rt.Load(t.Context(), Source{Name: "p", Bytes: m.Bytes()})
		other := signature{append(f.sig.params[:len(f.sig.params):len(f.sig.params)], api.ValueTypeI64), f.sig.results}
		if want := fmt.Sprintf("the import %s.%s is %s, it must be %s", f.module, f.name, other, f.sig); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want one with %q", err, want)
		}
	}
}

// TestAnOutputBatchHasAsManyOutputsAsItSays has one, which says that it is none, one, two, 10,000, and as many as can be said.
func TestAnOutputBatchHasAsManyOutputsAsItSays(t *testing.T) {
	for outputs, want := range map[int64]string{0: "filtered", 1: "x", 2: "!contract", 10_000: "!contract", 1<<32 - 1: "!contract"} {
		b := batch("x")
		var before, after runtime.MemStats
		g := startGuest(t, load(t, Source{Name: "p", Bytes: hostile.Claims(outputs)}), Transform, Events{})
		runtime.ReadMemStats(&before)
		process(t, g, b)
		runtime.ReadMemStats(&after)
		if got := fates(b); got != want {
			t.Errorf("%d outputs come to %s, %+v", outputs, got, b.Records[0].Cause)
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 10<<20 {
			t.Errorf("%d outputs: %d bytes were allocated", outputs, grown)
		}
	}
}

// TestMarkersSayWhatAPluginIs has none, an old one, a new one, several, and one twice.
func TestMarkersSayWhatAPluginIs(t *testing.T) {
	for _, c := range []struct {
		exports []string
		want    string
	}{
		{[]string{"sp_alloc", "sp_filter"}, "the export sp_abi_v1 is missing; this build speaks version 1"},
		{[]string{"sp_abi_v0", "sp_alloc", "sp_filter"}, `the export sp_abi_v1 is missing, there is "sp_abi_v0"; this build speaks version 1`},
		{[]string{"sp_abi_v2", "sp_abi_v3", "sp_alloc", "sp_filter"}, `there is "sp_abi_v2", "sp_abi_v3"; this build`},
		{[]string{"sp_abi_v1", "sp_abi_v2", "sp_alloc", "sp_filter"}, ""},
		{[]string{"sp_abi_v1", "sp_abi_v1", "sp_alloc", "sp_filter"}, `duplicates name "sp_abi_v1"`},
		{[]string{"sp_abi_v1", "sp_alloc", "sp_filter", "sp_map"}, "it exports 2 of sp_process, sp_filter and sp_map;"},
		{[]string{"sp_abi_v1", "sp_alloc", "sp_processes"}, `it exports none of sp_process, sp_filter and sp_map, there is "sp_processes"; it must export exactly one`},
	} {
		_, err := newRuntime(t, Options{}).Load(t.Context(), Source{Name: "p", Bytes: hostile.Speaks(c.exports...)})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%v: error is %v, want %q", c.exports, err, c.want)
		}
	}
}

// TestAnAnswerThatLiesFailsItsRecord has outputs where there is no memory, or where there is something else.
func TestAnAnswerThatLiesFailsItsRecord(t *testing.T) {
	at := func(ptr, n uint32) int64 { return int64(uint64(ptr)<<32 | uint64(n)) }
	for name, c := range map[string]struct {
		arena, grow, answer int64
		reason, want        string
	}{
		"4 GiB":                         {1024, 0, at(0, 1<<32-1), "contract", "beyond the memory"},
		"more than memory holds":        {1024, 0, at(1<<16-8, 64), "contract", "beyond the memory"},
		"from the last byte":            {1024, 0, at(1<<31-1, 1<<32-1), "contract", "beyond the memory"},
		"no batch":                      {1024, 0, at(0, 64), "contract", ""},
		"too short for a batch":         {1024, 0, at(0, 1), "contract", ""},
		"the input as it is":            {1024, 0, at(1024, 88), "contract", ""},
		"where memory was taken before": {1024, 3, at(3<<16, 64), "contract", ""},
		"negative":                      {1024, 0, -7, "error", "the plugin gave no reason"},
		"nothing, at an odd arena":      {1025, 0, 0, "", ""},
		"nothing, at the first byte":    {1, 0, 0, "", ""},
		"nothing, at 2^32-1":            {-1, 0, 0, "contract", "beyond the memory"},
		"nothing, at the end of memory": {1<<16 - 1, 0, 0, "contract", "beyond the memory"},
	} {
		b := batch("a", "b")
		process(t, startGuest(t, load(t, Source{Name: "p", Bytes: hostile.Answers(c.arena, c.grow, c.answer)}), Transform, Events{}), b)
		want := "a b"
		if c.reason != "" {
			want = "!" + c.reason + " !" + c.reason
		}
		if got := fates(b); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
			continue
		}
		if cause := b.Records[0].Cause; cause != nil && !strings.Contains(cause.Message, c.want) {
			t.Errorf("%s: %q lacks %q", name, cause.Message, c.want)
		}
	}
}

// TestAForgedLineOfTheLogIsOneLine has a plugin log what looks like lines of the daemon's own.
func TestAForgedLineOfTheLogIsOneLine(t *testing.T) {
	var out bytes.Buffer
	rt := newRuntime(t, Options{Logger: slog.New(slog.NewJSONHandler(&out, nil))})
	p, err := rt.Load(t.Context(), Source{Name: "logs", Bytes: wasmOf(t, "logs")})
	if err != nil {
		t.Fatal(err)
	}
	process(t, startGuest(t, p, Filter, Events{}), batch("a"))
	forged := 0
	for line := range bytes.Lines(out.Bytes()) {
		var l struct{ Level, Msg, Plugin string }
		if err := json.Unmarshal(line, &l); err != nil || l.Plugin != "logs" || len(line) > 4*logLineBytes { // a byte that cannot be shown is three of U+FFFD
			t.Errorf("a line of %d bytes is %.100q of %s, %v", len(line), l.Msg, l.Plugin, err)
		}
		if strings.HasPrefix(l.Msg, "a�[31m") && strings.Contains(l.Msg, `\n{"level":1}`) {
			forged++
		}
	}
	if forged != 1 {
		t.Errorf("the forged line is there %d times in\n%.2000s", forged, out.String())
	}
}

func TestTextOfAGuestIsOnePrintableLine(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                      "plain",
		"a\r\n{\"level\":\"error\"}": "a�\\n{\"level\":\"error\"}",
		"\x1b[2J\x1b]0;title\x07":    "�[2J�]0;title�",
		"\u202egnp.exe\u2066\u200b":  "�gnp.exe��",
		"\xff\xfe\xed\xa0\x80":       "�����",
		"a\x00b\u2028c\u0085d":       "a�b�c�d",
		"tab\there":                  "tab here",
		strings.Repeat("ä", 40):      strings.Repeat("ä", 25) + "…",
		strings.Repeat("€", 40):      strings.Repeat("€", 16) + "��…", // cut within the 17th
	} {
		if got := escape([]byte(in), 50); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

// TestLinesThatComeAgainAreLinesToo has a plugin log the last line that was let pass again and again, with others in between.
func TestLinesThatComeAgainAreLinesToo(t *testing.T) {
	var out bytes.Buffer
	rt := newRuntime(t, Options{Logger: slog.New(slog.NewJSONHandler(&out, nil))})
	const most, calls = 10, 500
	p, err := rt.Load(t.Context(), Source{Name: "p", Bytes: hostile.Measure(0), Limits: Limits{LogLines: most}})
	if err != nil {
		t.Fatal(err)
	}
	g := startGuest(t, p, Transform, Events{})
	began := time.Now()
	for range calls {
		process(t, g, batch("l")) // A to ^, of which J is the tenth
	}
	seconds := int(time.Since(began)/time.Second) + 2
	if lines := bytes.Count(out.Bytes(), []byte("\n")); lines > seconds*(most+2) { // one more says how many there were, and one how often
		t.Errorf("%d lines were logged in less than %d s, the limit is %d a second", lines, seconds, most)
	}
}

// TestNamesOfHeadersAreCountedBeforeTheyAreCopied has outputs whose names are all the same bytes of the plugin's.
func TestNamesOfHeadersAreCountedBeforeTheyAreCopied(t *testing.T) {
	g := startGuest(t, load(t, Source{Name: "p", Bytes: hostile.Names()}), Transform, Events{})
	process(t, g, batch("a"))
	b := batch("x")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	process(t, g, b)
	runtime.ReadMemStats(&after)
	if c := b.Records[0].Cause; c == nil || !strings.Contains(c.Message, "the names of the headers of its outputs take more than 4194304 bytes") {
		t.Errorf("it came to %s, %+v", fates(b), c)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 50<<20 {
		t.Errorf("%d MiB were allocated for one record", grown>>20)
	}
}

// TestOutputsOfABatchAreBounded has a plugin make 4 MiB of every second record. What is too much fails those, and not the small ones.
func TestOutputsOfABatchAreBounded(t *testing.T) {
	g := startGuest(t, load(t, Source{Name: "p", Bytes: hostile.Flood()}), Transform, Events{})
	const room, n = 18 << 20, 60
	g.room = room
	for range 2 {
		var values []string
		for range n {
			values = append(values, "x", "a")
		}
		b := batch(values...)
		process(t, g, b)
		kept := int64(0)
		for i := range b.Records {
			r := &b.Records[i]
			kept += int64(len(r.Value))
			switch {
			case i%2 == 1 && string(r.Value) != "a":
				t.Fatalf("record %d, a small one, came to %v, %v", i, r.Fate, r.Cause)
			case r.Fate == stream.DeadLettered && (r.Cause.Reason != stream.ReasonOutput || !strings.Contains(r.Cause.Message, "this record became most of them, 4194304")):
				t.Fatalf("record %d: %+v", i, r.Cause)
			}
		}
		if kept < 4<<22 || kept > room+outputPerInput*2*n {
			t.Errorf("%d bytes came out, the room is for %d", kept, room)
		}
	}
}

// TestASmallOutputKeepsNoLargeArea has a plugin give an area of 8 MiB for an output of a byte, record after record.
func TestASmallOutputKeepsNoLargeArea(t *testing.T) {
	g := startGuest(t, load(t, Source{Name: "p", Bytes: hostile.Area()}), Transform, Events{})
	var batches []*stream.Batch
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range 20 {
		b := batch("x")
		process(t, g, b)
		if got := fates(b); got != "\x00" {
			t.Fatalf("it came to %q", got)
		}
		batches = append(batches, b)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > 20<<20 {
		t.Errorf("%d bytes in %d batches keep %d MiB", len(batches), len(batches), kept>>20)
	}
	runtime.KeepAlive(batches)
}

// TestATrapTellsNoLongNames has a function with a name of 8 MiB, which stands in a trace as often as it is called.
func TestATrapTellsNoLongNames(t *testing.T) {
	for _, a := range hostile.Attacks() {
		if a.Name != "recursion" {
			continue
		}
		for size, told := range map[int]bool{4 << 10: true, 4<<10 + 1: false, 8 << 20: false} {
			wasm := hostile.Named(a.Module, 0, strings.Repeat("n", size))
			g := startGuest(t, load(t, Source{Name: "p", Bytes: wasm}), Filter, Events{})
			b := batch("x")
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			process(t, g, b)
			runtime.ReadMemStats(&after)
			if c := b.Records[0].Cause; c == nil || !strings.Contains(c.Message, "limit depth") || strings.Contains(c.Message, "nnn") != told {
				t.Errorf("a name of %d bytes: %.200v", size, c)
			}
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 50<<20 {
				t.Errorf("a name of %d bytes: %d MiB were allocated for one record", size, grown>>20)
			}
		}
	}
}

// TestDataReachesNoOutputButThoseOfTheStep asks for outputs by names that a record may hold.
func TestDataReachesNoOutputButThoseOfTheStep(t *testing.T) {
	c := Call{guest: &Guest{current: current{plugin: &Plugin{outputs: []Output{{Name: "side", Sink: 7}}}}}}
	for _, name := range []string{"", "side ", "Side", "side\x00", "../side", "../", "..", "__consumer_offsets", "out", strings.Repeat("s", 300), "*", "7"} {
		if sink, ok := c.Output(name); ok {
			t.Errorf("%.20q is output %d", name, sink)
		}
	}
	if sink, ok := c.Output("side"); !ok || sink != 7 {
		t.Errorf("side is output %d, %v", sink, ok)
	}
	g, b := c.guest, batch("x")
	g.todo, g.results, g.verdicts = []int{0}, []result{{verdict: abi.Replaced}}, []abi.Verdict{abi.Replaced}
	for _, n := range []int{2, 7, 255, 65535} {
		p := abi.Produced{InheritKey: true, InheritValue: true, InheritHdrs: true, Timestamp: abi.InheritTime, Output: n}
		if err := g.readOutput(b, 0, 0, nil, nil, &p); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("names output %d of 1", n)) {
			t.Errorf("output %d of one: %v", n, err)
		}
	}
}
