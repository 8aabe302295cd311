package js

import (
	"strings"
	"testing"

	"github.com/streamproc/streamproc/internal/guesttest"
	"github.com/streamproc/streamproc/runtime"
)

// TestTheEngineIsNotEnteredTwice: the log of a script, and what it throws, is made into text by the engine, which runs what
// the script has made of toString. A second call of a function that waits would write over what waits.
func TestTheEngineIsNotEnteredTwice(t *testing.T) {
	g := newRig(t).Guest(`const join = Array.prototype.join
let n = 0
const deep = (d: number): number => d === 0 ? 0 : 1 + deep(d - 1)
const text = { toString() { if (n++ < 10) { deep(20); console.log("within") } return "text" } } as any
export function map(v) {
  n = 0
  Array.prototype.join = v === "log" ? () => text : join
  if (v === "log") console.log("outer")
  if (v === "throw") { const e = new Error("outer"); Object.defineProperty(e, "message", { value: text }); Object.defineProperty(e, "stack", { value: text }); throw e }
  return n
}`)
	guesttest.Check(t, guesttest.Outcome(t, g, guesttest.Batch(`1`, `"log"`, `2`, `"throw"`, `3`)), "0", "11", "0", "!error price.ts: Error: text", "0")
}

func TestAnErrorWhoseTextLogsIsRefused(t *testing.T) {
	_, err := newRig(t).Start(`const text = { toString() { console.log("within"); return "text" } }
const e = new Error("outer")
Object.defineProperty(e, "stack", { value: text })
export function map(v) { return v }
throw e`, runtime.Transform)
	if err == nil || !strings.Contains(err.Error(), "a value that is made into text writes to the log") {
		t.Errorf("the error is %v", err)
	}
}
