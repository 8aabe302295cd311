package lua

import (
	"testing"

	"github.com/streamproc/streamproc/internal/scripttest"
)

func TestAScriptLooksKeysUp(t *testing.T) {
	scripttest.Lookups(t, newRig(t), `function map(k) local v = kv_get(k) if not v then return "none" end return { v:sub(1, (utf8.offset(v, 6) or #v + 1) - 1), utf8.len(v) } end`,
		`function map(k) return kv_get(k) end`, `local v function init() v = kv_get("1") end function map(k) return v end`)
}
