package sp1

import (
	"errors"
	"testing"

	"github.com/streamproc/streamproc/runtime/abi"
)

func TestProcessAnswersEachRecord(t *testing.T) {
	Handle(func(r *Record, out *Outputs) (Verdict, error) {
		switch string(r.Value) {
		case "keep":
			return Keep, nil
		case "fail":
			out.Put([]byte("does not count"))
			return Replaced, errors.New("because")
		}
		out.Put([]byte("x"))
		out.PutKeyed([]byte("k"), []byte("y"))
		return Replaced, nil
	})
	buf := make([]byte, abi.InputLen(3, 100, 0))
	w := abi.NewWriter(buf, 3, abi.AllColumns)
	for _, v := range []string{"keep", "fail", "two"} {
		w.Add(&abi.Row{Value: []byte(v)})
	}
	n, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	var out abi.Answer
	failures := ""
	if err := Process(buf[:n], &out, func(_ int, text string) { failures += text }); err != nil {
		t.Fatal(err)
	}
	verdicts := make([]abi.Verdict, 3)
	if err := abi.Verdicts(verdicts, buf, abi.RecordSize); err != nil || [3]abi.Verdict(verdicts) != [3]abi.Verdict{abi.Keep, abi.Fail, abi.Replaced} {
		t.Errorf("verdicts are %v, %v", verdicts, err)
	}
	if failures != "because" || out.Len() != 2 {
		t.Errorf("failures %q, %d outputs", failures, out.Len())
	}
}

func TestHeadersOfARecord(t *testing.T) {
	buf := make([]byte, abi.InputLen(1, 100, 2))
	w := abi.NewWriter(buf, 1, abi.AllColumns)
	w.Add(&abi.Row{Value: []byte("v")})
	w.Entries(2)
	w.Entry(0, "trace", []byte("1"))
	w.Entry(1, "empty", nil)
	n, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	Handle(func(r *Record, out *Outputs) (Verdict, error) {
		if v, ok := r.Header("trace"); !ok || string(v) != "1" {
			t.Errorf("trace is %q, %v", v, ok)
		}
		if v, ok := r.Header("empty"); !ok || v != nil {
			t.Errorf("empty is %q, %v", v, ok)
		}
		if _, ok := r.Header("none"); ok {
			t.Error("found a header that is not there")
		}
		out.Add(&Output{KeepKey: true, KeepValue: true, Headers: append(r.Headers(), Header{Key: []byte("more")}), Timestamp: 7})
		return Replaced, nil
	})
	var out abi.Answer
	if err := Process(buf[:n], &out, func(int, string) {}); err != nil || out.Len() != 1 {
		t.Errorf("%d outputs, %v", out.Len(), err)
	}
}

func TestARecordThatIsMadeByHandHasNoMore(t *testing.T) {
	t.Cleanup(forget)
	var r Record
	var out Outputs
	if _, found := r.Header("h"); found || r.Headers() != nil || Want("price").JSON(&r) != nil || out.Values() != nil {
		t.Error("it has something")
	}
	out.Put([]byte("a"))
	out.Add(&Output{KeepValue: true})
	out.Add(&Output{})
	out.PutKeyed([]byte("k"), nil)
	out.PutKeyed(nil, []byte{})
	if got := out.Values(); len(got) != 2 || string(got[0]) != "a" || string(got[1]) != "" {
		t.Errorf("%q was put", got)
	}
}

func TestParseStart(t *testing.T) {
	s, err := ParseStart([]byte(`{"plugin":"p","config":{"least":3},"topics":["a"],"outputs":["side"],"metrics":[]}`))
	if err != nil || string(s.Config) != `{"least":3}` || s.Topics[0] != "a" || s.Outputs[0] != "side" {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := ParseStart([]byte("{")); err == nil {
		t.Error("half an object is read")
	}
}

func TestAConfigurationCanBeRefused(t *testing.T) {
	t.Cleanup(func() { Configure(func([]byte) error { return nil }) })
	said := ""
	say := func(_ int, text string) { said = text }
	if Init([]byte("{}"), say) != 0 {
		t.Error("a plugin without a configuration does not start")
	}
	Configure(func(start []byte) error { return errors.New("not " + string(start)) })
	if Init([]byte("{}"), say) == 0 || said != "not {}" {
		t.Errorf("it starts, or says %q", said)
	}
}

func TestAPluginWithoutAHandlerFailsItsRecords(t *testing.T) {
	Handle(unset)
	buf := make([]byte, abi.InputLen(1, 1, 0))
	w := abi.NewWriter(buf, 1, abi.AllColumns)
	w.Add(&abi.Row{Value: []byte("a")})
	n, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	said := ""
	if err := Process(buf[:n], &abi.Answer{}, func(_ int, text string) { said = text }); err != nil || said != "the plugin sets no handler: call sp1.Handle from init" {
		t.Errorf("it says %q, %v", said, err)
	}
}
