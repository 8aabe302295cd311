package js

import (
	"testing"

	"github.com/streamproc/streamproc/internal/scripttest"
)

func TestAScriptLooksKeysUp(t *testing.T) {
	scripttest.Lookups(t, newRig(t), `export function map(k) { const v = kvGet(k); return v === null ? "none" : [v.slice(0, 5), v.length] }`,
		`export const map = k => kvGet(k)`, `let v; export function init() { v = kvGet("1") } export const map = k => v`)
}
