package daemon

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/internal/devstack"
	"github.com/streamproc/streamproc/pipeline"
	"github.com/streamproc/streamproc/runtime"
)

const lookingUp = `version: 1
resources:
  redis:
    state: { addrs: ["${REDIS_ADDR}"] }
    users: { addrs: ["USERS"] }
  plugins:
    enrich: { wasm: "LOOKUP", kv: { store: users, prefix: "user:", prefetch: key } }
pipelines:
  all:
    commit_interval: 50ms
    source: { topics: [in] }
    steps:
      - { name: enrich, transform: { plugin: enrich } }
      - { name: known, filter: 'value.name != "nobody"' }
    sinks: { out: { topic: out } }
`

func lookingUpIn(t *testing.T, addr string) string {
	t.Helper()
	module, err := filepath.Abs("../runtime/testdata/lookup.wasm")
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer("USERS", addr, "LOOKUP", module).Replace(lookingUp)
}

// lookUp feeds records that are looked up by their keys.
func (r *rig) lookUp(keys ...string) {
	r.Helper()
	var records []devstack.Record
	for _, k := range keys {
		records = append(records, devstack.Record{Key: []byte(k), Value: []byte("g" + k)})
	}
	if _, err := devstack.Feed(r.Context(), r.stack.Brokers(), []string{"in"}, slices.Values(records), 0); err != nil {
		r.Fatal(err)
	}
}

// What a plugin reads is away at first, and goes away once more: records wait for it, and none is lost or fails.
func TestAPluginWaitsForWhatItReads(t *testing.T) {
	users := miniredis.RunT(t)
	for k, v := range map[string]string{"user:7": `{"name":"seven"}`, "user:8": `{"name":"nobody"}`, "9": `{"name":"hidden"}`} {
		if err := users.Set(k, v); err != nil {
			t.Fatal(err)
		}
	}
	addr := users.Addr()
	r := newRig(t, lookingUpIn(t, addr))
	users.Close()
	r.lookUp("7", "8", "9")
	r.run()
	s := r.until("all", func(s Status) bool { return s.State == pipeline.Stalled })
	if s.Ready || !strings.Contains(s.Why, `plugin enrich looks up "7" and 2 more`) || s.Ledger.In != 0 {
		t.Errorf("without what it reads: %+v", s)
	}
	if _, found := r.d.Check(t.Context()); len(found) != 1 || !strings.Contains(found[0].Error(), "redis users at ["+addr+"], which plugins read") {
		t.Errorf("a check finds %v", found)
	}
	if err := users.Restart(); err != nil {
		t.Fatal(err)
	}
	s = r.until("all", func(s Status) bool { return s.Ledger.In == 3 })
	// "absent" is no JSON: the filter behind fails at it, and the plugin has not seen what lies beside its prefix.
	if diff := cmp.Diff(pipeline.Counts{In: 3, Out: 1, Filtered: 1, DeadLettered: 1}, s.Ledger); diff != "" {
		t.Errorf("when it is back: %s", diff)
	}
	users.Close()
	r.lookUp("7")
	r.until("all", func(s Status) bool { return s.State == pipeline.Stalled })
	if err := users.Restart(); err != nil {
		t.Fatal(err)
	}
	s = r.until("all", func(s Status) bool { return s.Ledger.In == 4 })
	if s.Ledger.DeadLettered != 1 || s.Ledger.Out != 2 {
		t.Errorf("at the end: %+v", s.Ledger)
	}
}

// The Redis that plugins read is not held to what state needs, and a reload that ends its use closes it.
func TestWhatPluginsReadIsNotAStoreOfState(t *testing.T) {
	r := newRig(t, lookingUpIn(t, "127.0.0.1:1"))
	b := r.d.pipelines[0].built.Load()
	if warnings, err := b.inspect(t.Context()); len(warnings) > 0 || err != nil || len(b.stores) > 0 {
		t.Errorf("it is taken for state: %q, %v", warnings, err)
	}
	if list := b.redis(); len(list) != 1 || !b.uses(list[0]) {
		t.Errorf("it is not seen to be in use: %v", list)
	}
	for _, p := range b.plugins {
		g, err := p.NewGuest(t.Context(), runtime.Transform, "enrich", runtime.Events{})
		if err != nil {
			t.Fatalf("to start, a plugin needs nothing of what it reads: %v", err)
		}
		g.Close(t.Context())
	}
}

func TestPluginsOfOthersHaveNoLookups(t *testing.T) {
	text := strings.Replace(lookingUpIn(t, "127.0.0.1:1"), "runtime/testdata/lookup.wasm", "runtime/compat/redpanda/testdata/rust.wasm", 1)
	if err := tried(t, text); err == nil || !strings.Contains(err.Error(), "plugins.enrich.wasm: plugin enrich is for redpanda, which has no kv_get: leave kv out") {
		t.Errorf("it says %v", err)
	}
}

func TestAScriptMayHaveLookups(t *testing.T) {
	script := filepath.Join(t.TempDir(), "enrich.js")
	if err := os.WriteFile(script, []byte("export const map = v => kvGet(v.user)"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(lookingUp, `wasm: "LOOKUP"`, `js: "`+script+`"`, 1)
	if err := tried(t, strings.Replace(text, "USERS", "127.0.0.1:1", 1)); err != nil {
		t.Error(err)
	}
}

// tried builds the pipelines of a text, and lets go of them.
func tried(t *testing.T, text string) error {
	t.Helper()
	file := filepath.Join(t.TempDir(), "pipelines.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(config.Options{Paths: []string{file}, LookupEnv: func(string) (string, bool) { return "127.0.0.1:1", true }})
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(t.Context(), cfg, Options{Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		err = d.Close(t.Context())
	}
	return err
}
