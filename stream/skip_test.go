package stream

import "testing"

func TestSkipsAreRememberedUntilTheyAreTakenBack(t *testing.T) {
	var s Skips
	for _, c := range []struct {
		do   func() Skips
		want Skips
	}{
		{func() Skips { return s.Forward(10, 20) }, "10-20"},
		{func() Skips { return s.Forward(20, 25) }, "10-25"},
		{func() Skips { return s.Forward(40, 50) }, "10-25,40-50"},
		{func() Skips { return s.Back(45) }, "10-25,40-45"},
		{func() Skips { return s.Back(12) }, "10-12"},
		{func() Skips { return s.Back(10) }, ""},
	} {
		if s = c.do(); s != c.want {
			t.Fatalf("skips are %q, want %q", s, c.want)
		}
	}
	for i := range int64(100) {
		s = s.Forward(10*i, 10*i+5)
	}
	if n := len(s.Ranges()); n != skipsLimit || s.Ranges()[n-1] != (Range{990, 995}) {
		t.Errorf("%d ranges are remembered: %s", n, s)
	}
	if got := Skips("1-2,x").Ranges(); len(got) != 1 {
		t.Errorf("of a broken list %v was read", got)
	}
}
