package py

import (
	"testing"

	"github.com/streamproc/streamproc/internal/scripttest"
)

func TestAScriptLooksKeysUp(t *testing.T) {
	const from = "from streamproc import kv_get\n"
	scripttest.Lookups(t, newRig(t), from+`
def map(k):
    v = kv_get(k)
    return "none" if v is None else [v[:5], len(v)]`,
		from+"def map(k): return kv_get(k)", from+"v = kv_get(1)\ndef map(k): return v")
}
