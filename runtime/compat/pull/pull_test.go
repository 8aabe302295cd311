package pull

import (
	"context"
	"errors"
	"testing"
)

func same(ctx context.Context) context.Context { return ctx }

func TestARunWaitsAndGoesOn(t *testing.T) {
	var r *Run
	got := 0
	r = New(t.Context(), same, func(context.Context) error {
		for range 3 {
			got++
			r.Wait()
		}
		return nil
	})
	for want := 1; want <= 3; want++ {
		if err := r.Resume(t.Context()); err != nil || got != want {
			t.Fatalf("turn %d: %d, %v", want, got, err)
		}
	}
	if err := r.Resume(t.Context()); !errors.Is(err, ErrExited) {
		t.Errorf("a run that returned: %v", err)
	}
	r.Stop()
}

func TestStopUnwindsAGuestThatWaits(t *testing.T) {
	var r *Run
	unwound := false
	r = New(t.Context(), same, func(context.Context) (err error) {
		defer func() {
			unwound = recover() != nil // as the engine does with a panic of a host function
		}()
		r.Wait()
		return nil
	})
	if err := r.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.Stop()
	if !unwound {
		t.Error("the guest was not unwound")
	}
}

func TestAnEndedCallCancelsTheRun(t *testing.T) {
	var r *Run
	broken := errors.New("broken")
	r = New(t.Context(), same, func(ctx context.Context) error {
		r.Wait()
		<-ctx.Done()
		return broken
	})
	if err := r.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Resume(ctx); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}
