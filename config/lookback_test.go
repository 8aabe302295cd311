package config

import (
	"strings"
	"testing"
)

const lookingBackYAML = `version: 1
resources: { plugins: { batch: { wasm: a.wasm, abi: command-batch } } }
pipelines:
  p:
    source: { topics: [in] }
    steps: [ STEPS ]
    sinks: { out: { topic: out } }
`

// TestWhatLooksBackStandsWhereItSeesTheLog refuses what would show a plugin some records only, or not in order.
func TestWhatLooksBackStandsWhereItSeesTheLog(t *testing.T) {
	const look = `transform: { wasm: a.wasm, look_back: 1k`
	c, err := load(t, strings.Replace(lookingBackYAML, "STEPS", "{ "+look+" } }, { dedup: { key: $.id } }", 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	if u := c.Pipelines[0].Steps[0].Transform; u.LookBack != 1000 || u.Kept != 64<<20 {
		t.Errorf("look_back is %d, in %d bytes", u.LookBack, u.Kept)
	}
	if c, err = load(t, strings.Replace(lookingBackYAML, "STEPS", "{ "+look+", look_back_memory: 2GiB } }", 1), nil); err != nil || c.Pipelines[0].Steps[0].Transform.Kept != 2<<30 {
		t.Errorf("with 2 GiB: %v", err)
	}
	for steps, want := range map[string]string{
		"{ dedup: { key: $.id } }, { " + look + " } }":                               "cannot come after dedup or reorder",
		"{ reorder: { time: $.at } }, { " + look + " } }":                            "cannot come after dedup or reorder",
		"{ " + look + " }, on_error: retry }":                                        "cannot try a record again",
		"{ " + look + ", shadow: 5% } }":                                             "cannot be tried in the shadow",
		"{ route: [ { when: key == '', steps: [ { " + look + " } } ], to: out } ] }": "cannot stand in a branch of a route",
		"{ transform: { plugin: batch, look_back: 1k } }":                            "once for each batch remembers nothing",
		"{ " + look + ", look_back_memory: 64KiB } }":                                "64KiB is out of the range of 1MiB to 16GiB",
		"{ transform: { wasm: a.wasm, look_back_memory: 2MiB } }":                    "steps[0].transform.look_back_memory: there is no look_back, for which records would be kept (add look_back",
		"{ transform: { wasm: a.wasm, look_back: 20k } }":                            "10_000",
	} {
		if _, err := load(t, strings.Replace(lookingBackYAML, "STEPS", steps, 1), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\nwant %s", steps, err, want)
		}
	}
}
