package bench

import "testing"

// TestStreamprocIsSoundInEveryScenario builds and runs the real binary, so that a bench that no longer works is found here.
func TestStreamprocIsSoundInEveryScenario(t *testing.T) {
	r, err := Run(t.Context(), Options{Records: few, Reps: 1, Plugin: "../" + DefaultPlugin, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Sound() || len(r.Scenarios) != len(Scenarios) {
		t.Fatalf("%+v", r)
	}
}
