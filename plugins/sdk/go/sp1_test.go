package sp1

import (
	"errors"
	"testing"

	"github.com/streamproc/streamproc/runtime/abi"
)

func TestProcessAnswersEachRecord(t *testing.T) {
	Handle(func(r *abi.Row, put func([]byte)) (Verdict, error) {
		switch string(r.Value) {
		case "keep":
			return Keep, nil
		case "fail":
			return Keep, errors.New("because")
		}
		put([]byte("x"))
		put([]byte("y"))
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
	if err := abi.Verdicts(verdicts, buf); err != nil || [3]abi.Verdict(verdicts) != [3]abi.Verdict{abi.Keep, abi.Fail, abi.Replaced} {
		t.Errorf("verdicts are %v, %v", verdicts, err)
	}
	if failures != "because" || out.Len() != 2 {
		t.Errorf("failures %q, %d outputs", failures, out.Len())
	}
}
