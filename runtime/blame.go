package runtime

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/streamproc/streamproc/runtime/abi"
	"github.com/streamproc/streamproc/stream"
)

// fault is a call that failed as a whole.
type fault struct {
	reason   stream.Reason
	message  string
	alive    bool // the guest said so on purpose: the instance lives on
	suspect  int  // index in todo of the record that the cursor named, or -1
	tooLarge bool // the guest refused the arena: cut the batch, blame nobody
}

// faultOf says what an error of a call means.
func faultOf(err error) *fault {
	f := &fault{reason: stream.ReasonTrap, message: firstLines(err), suspect: -1}
	var b *breach
	var no *failure
	if errors.As(err, &no) {
		f.reason, f.message, f.alive = no.reason, escape([]byte(no.message), reasonBytes), no.alive
	} else if s, ok := stopOf(err); ok {
		f.reason, f.message = s.reason, s.message
	} else if errors.As(err, &b) {
		f.reason, f.message = stream.ReasonContract, b.message
	} else if errors.Is(err, errRefused) {
		f.reason, f.message, f.alive, f.tooLarge = stream.ReasonLimit, "the plugin has no room: "+err.Error(), true, true
	}
	return f
}

// firstLines keeps the kind of trap and the innermost function from wazero's stack trace.
func firstLines(err error) string {
	lines := strings.Split(err.Error(), "\n")
	text := strings.TrimPrefix(lines[0], "wasm error: ")
	for _, l := range lines[1:] {
		if strings.HasPrefix(l, "\t") {
			text += inFunction + functionIn(strings.TrimSpace(l))
			break
		}
	}
	return escape([]byte(text), reasonBytes)
}

const inFunction = " in "

// functionIn is the function in a line of a stack trace, which is .NAME(TYPES) TYPES, or .$NUMBER where the module has no names.
func functionIn(line string) string {
	name := strings.TrimPrefix(line, ".")
	if i := strings.LastIndexByte(name, '('); i > 0 {
		name = name[:i]
	}
	if number, ok := strings.CutPrefix(name, "$"); ok {
		return "function " + number
	}
	return name
}

// told is an error of a guest as it may be shown: in it are names and texts of the guest's own.
type told struct{ error }

func (t told) Error() string {
	text := t.error.Error()
	if strings.Contains(text, "\nwasm stack trace:") {
		return firstLines(t.error)
	}
	return escape([]byte(text), startErrorBytes)
}

func (t told) Unwrap() error { return t.error }

// place is the end of such a text, which names the function.
func place(text string) string {
	if i := strings.Index(text, inFunction); i >= 0 {
		return text[i:]
	}
	return ""
}

// run processes the records todo[lo:hi] and finds those that are to blame when the call fails. A record is guilty only
// if it fails alone on a fresh instance. Its depth is the logarithm of the number of records.
func (g *Guest) run(ctx context.Context, b *stream.Batch, lo, hi int) error {
	f := g.attempt(ctx, b, lo, hi)
	if f == nil {
		return nil
	}
	if g.kv.err != nil {
		return g.unanswered(ctx)
	}
	wasFresh := g.fresh && !(g.instance.lacks && f.reason == stream.ReasonLimit)
	if err := g.renew(ctx, f); err != nil {
		return err
	}
	if hi-lo == 1 {
		return g.judge(ctx, b, lo, f, wasFresh)
	}
	if s := f.suspect; s >= lo && s < hi && !f.tooLarge {
		return g.runSuspect(ctx, b, lo, s, hi, f)
	}
	return g.runParts(ctx, b, []int{lo, lo + (hi-lo)/2, hi})
}

// runSuspect runs the records around the suspect s, and s on a fresh instance: it has failed in a used one already, and a second
// time there would say nothing that the third does not.
func (g *Guest) runSuspect(ctx context.Context, b *stream.Batch, lo, s, hi int, f *fault) error {
	if err := g.runParts(ctx, b, []int{lo, s}); err != nil {
		return err
	}
	if !f.alive && !g.fresh {
		g.lives++
		if err := g.replace(ctx, f); err != nil {
			return err
		}
	}
	return g.runParts(ctx, b, []int{s, s + 1, hi})
}

// runParts runs the ranges between the cuts, in order.
func (g *Guest) runParts(ctx context.Context, b *stream.Batch, cuts []int) error {
	for i := 1; i < len(cuts); i++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		if cuts[i-1] == cuts[i] {
			continue
		}
		if err := g.run(ctx, b, cuts[i-1], cuts[i]); err != nil {
			return err
		}
	}
	return nil
}

// judge decides about a record that failed alone.
func (g *Guest) judge(ctx context.Context, b *stream.Batch, i int, f *fault, wasFresh bool) error {
	if !f.alive && !wasFresh {
		again := g.attempt(ctx, b, i, i+1)
		if again == nil {
			if g.events.Innocent != nil {
				g.events.Innocent()
			}
			return nil
		}
		if g.kv.err != nil {
			return g.unanswered(ctx)
		}
		f = again
		if err := g.renew(ctx, f); err != nil {
			return err
		}
	}
	g.results[i] = result{verdict: abi.Fail, cause: g.cause(f.reason, f.message)}
	return nil
}

// renew replaces the instance after a fault that may have spoilt it.
func (g *Guest) renew(ctx context.Context, f *fault) error {
	if err := ctx.Err(); err != nil {
		return err // the worker was told to stop: the records are not to blame, and will be read again
	}
	if !f.tooLarge {
		g.lives++
	}
	if f.alive {
		g.fresh = false
		return nil
	}
	if g.events.Trap != nil {
		g.events.Trap(f.reason)
	}
	return g.replace(ctx, f)
}

func (g *Guest) replace(ctx context.Context, f *fault) error {
	if err := g.anew(ctx); err != nil {
		return fmt.Errorf("replacing the instance after a fault (%s): %w", f.message, err)
	}
	return nil
}

// anew replaces the instance by a fresh one, or resets it.
func (g *Guest) anew(ctx context.Context) error {
	if g.reset(ctx) {
		return nil
	}
	return g.restart(ctx)
}

// restart replaces the instance by a fresh one. The old one goes first, so that there is the memory of one at a time. If a fresh one
// does not start there is none: the next batch tries again, for what is closed must not be called, since its memory is gone.
func (g *Guest) restart(ctx context.Context) error {
	old := &g.instance
	if g.session != nil && !old.module.IsClosed() {
		_ = g.session.Close(ctx) // it may have failed already; this lets go of what it holds
	}
	err := old.module.Close(ctx)
	if failed := g.start(ctx); failed != nil {
		err = joinErrors(err, failed, stream.ErrUnavailable)
	}
	return err
}

func (g *Guest) cause(r stream.Reason, message string) *stream.Cause {
	return &stream.Cause{Step: g.step, Reason: r, Message: message, Plugin: g.plugin.digest}
}
