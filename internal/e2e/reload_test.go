package e2e

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const reloadYAML = `version: 1
pipelines:
  reloaded:
    workers: 2
    commit_interval: 100ms
    source: { topics: ["${IN}"], group: "${GROUP}", session_timeout: 6s }
    steps:
      - { name: plug, transform: { wasm: plug.wasm } }
      - { name: once, dedup: { key: $.id } }
    sinks: { out: { topic: "${OUT}" } }
    dlq: { topic: "${DLQ}" }
`

// While records flow the plugin changes three times by HUP, and the file is broken in between: every record comes out once,
// and the workers stay in the group.
func TestAReloadLosesAndRepeatsNothing(t *testing.T) {
	r := newRig(t)
	plugin, err := os.ReadFile("../../runtime/testdata/faulty.wasm")
	if err != nil {
		t.Fatal(err)
	}
	version := func(n int) {
		r.write("plug.wasm", string(bytes.Replace(plugin, []byte("because"), fmt.Appendf(nil, "b%06d", n), 1)))
	}
	version(0)
	in := r.start("run", "-c", r.write("reload.yaml", reloadYAML), "--log-format", "json")
	const reloads, each = 3, 5000 // the log folds what it says more often
	hup := func() {
		if err := in.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	feed := func() {
		var rs []*kgo.Record
		for range each {
			rs = append(rs, &kgo.Record{Key: fmt.Append(nil, n), Value: fmt.Appendf(nil, `{"id":"%d"}`, n)})
			n++
		}
		r.feed(rs)
	}
	feed()
	r.read(r.out, 60*time.Second, func(*kgo.Record) bool { return true })
	for i := 1; i <= reloads; i++ {
		version(i)
		hup()
		feed()
		in.saysTimes(`"what":"swapped"`, i, 30*time.Second)
	}
	r.write("reload.yaml", strings.Replace(reloadYAML, "steps:", "stepps:", 1))
	hup()
	in.says(`did you mean \"steps\"?`, 30*time.Second)
	feed()
	seen, most := map[string]int{}, 0
	r.read(r.out, 60*time.Second, func(rec *kgo.Record) bool {
		seen[string(rec.Value)]++
		most = max(most, seen[string(rec.Value)])
		return len(seen) == n
	})
	if most != 1 {
		t.Errorf("a record came out %d times", most)
	}
	in.drain()
	if joins := strings.Count(in.stderr.String(), `"worker is starting"`); joins != 2 {
		t.Errorf("the two workers joined the group %d times", joins)
	}
}
