package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/streamproc/streamproc/internal/servers"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const orderYAML = `version: 1
pipelines:
  order:
    commit_interval: 100ms
    source: { topics: ["${IN}"], group: "${GROUP}", session_timeout: 6s }
    steps:
      - dedup: { key: $.id }
      - reorder: { key: $.k, sequence: $.seq, first: 0, max_wait: 10m }
    sinks: { out: { topic: "${OUT}", key: $.k } }
    dlq: { topic: "${DLQ}" }
`

// Records come out of order, across kill -9 and the loss of all of Redis; they leave in order, each once or, after a kill,
// again in order.
func TestOrderIsRestoredThroughKillsAndAFlush(t *testing.T) {
	r := newRig(t)
	file := r.write("order.yaml", orderYAML)
	in := r.start("run", "-c", file)
	const keys, perKey, rounds = 40, 250, 5
	for round := range rounds {
		var rs []*kgo.Record
		for i := range perKey / rounds {
			for k := range keys {
				seq := round*perKey/rounds + i
				if i%10 < 9 && k%2 == 0 { // every second key: blocks of nine come backwards
					seq = round*perKey/rounds + i/10*10 + 8 - i%10
				}
				rs = append(rs, &kgo.Record{Key: fmt.Appendf(nil, "k%d", k), Value: fmt.Appendf(nil, `{"id":"%d-%d","k":"k%d","seq":%d}`, k, seq, k, seq)})
			}
		}
		r.feed(rs)
		switch round {
		case 1, 3:
			in.kill()
			in = r.start("run", "-c", file)
		case 2:
			r.flushRedis()
		}
	}
	next, n := map[string]int{}, 0
	r.read(r.out, 90*time.Second, func(rec *kgo.Record) bool {
		var v struct{ Seq int }
		if err := json.Unmarshal(rec.Value, &v); err != nil {
			t.Fatalf("%s: %v", rec.Value, err)
		}
		switch key := string(rec.Key); {
		case v.Seq == next[key]:
			next[key]++
			n++
		case v.Seq > next[key]:
			t.Fatalf("key %s: %d before %d", key, v.Seq, next[key])
		}
		return n == keys*perKey
	})
	in.drain()
}

// What cannot be put in order, a null value, a record over the limit and a batch that nobody could hold in memory each cost themselves.
func TestOddRecordsGoToTheDeadLetters(t *testing.T) {
	r := newRig(t)
	limit := "4194304"
	if _, err := kadm.NewClient(r.cl).AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "max.message.bytes", Value: &limit}}, r.in); err != nil {
		t.Fatal(err)
	}
	big, err := kgo.NewClient(kgo.SeedBrokers(r.kafka), kgo.ProducerBatchMaxBytes(4<<20), kgo.DefaultProduceTopic(r.in))
	if err != nil {
		t.Fatal(err)
	}
	defer big.Close()
	const bomb = 129 << 20
	bombs, err := kgo.NewClient(kgo.SeedBrokers(r.kafka), kgo.ProducerBatchMaxBytes(bomb+1<<20), kgo.BrokerMaxWriteBytes(2*bomb), kgo.ProducerBatchCompression(kgo.GzipCompression()), kgo.DefaultProduceTopic(r.in))
	if err != nil {
		t.Fatal(err)
	}
	defer bombs.Close()
	in := r.start("run", "-c", r.write("order.yaml", orderYAML))
	if err := bombs.ProduceSync(t.Context(), &kgo.Record{Key: []byte("a"), Value: make([]byte, bomb)}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	for _, v := range [][]byte{
		[]byte(`{"id":"1","k":"a","seq":0}`),
		[]byte(`{"id":"2","k":"a","seq":1.5}`),
		[]byte(`{"id":"3","k":"a"}`),
		nil,
		bytes.Repeat([]byte("x"), 2<<20),
		[]byte(`{"id":"4","k":"a","seq":1}`),
	} {
		if err := big.ProduceSync(t.Context(), &kgo.Record{Key: []byte("a"), Value: v}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	r.read(r.out, 30*time.Second, func(*kgo.Record) bool { n++; return n == 2 })
	reasons := map[string]int{}
	r.read(r.dlq, 30*time.Second, func(rec *kgo.Record) bool {
		for _, h := range rec.Headers {
			if h.Key == "sp-reason" {
				reasons[string(h.Value)]++
			}
		}
		return reasons["decode"]+reasons["limit"] == 5
	})
	if reasons["decode"] != 3 || reasons["limit"] != 2 {
		t.Errorf("reasons %v", reasons)
	}
	in.drain()
}

func TestAGroupWithoutACoordinatorIsNotSilent(t *testing.T) {
	k := servers.NewKafka(t, servers.KafkaOptions{Properties: map[string]string{"offsets.topic.replication.factor": "3", "transaction.state.log.replication.factor": "3"}})
	t.Setenv("STREAMPROC_TEST_KAFKA", strings.Join(k.Brokers(), ","))
	r := newRig(t)
	in := r.start("run", "-c", r.write("once.yaml", strings.Replace(onceYAML, "commit_interval", "delivery: exactly_once\n    commit_interval", 1)))
	in.says("set offsets.topic.replication.factor to at most 1", 60*time.Second)
	in.says("set transaction.state.log.replication.factor to at most 1", 60*time.Second)
	in.drain()
}

func TestAWrongPasswordIsSaidAndNotShown(t *testing.T) {
	k := servers.NewKafka(t, servers.KafkaOptions{SASL: true})
	r := newRig(t)
	yaml := "resources: { kafka: { main: { brokers: [\"" + strings.Join(k.SASLBrokers(), ",") + "\"], sasl: { mechanism: SCRAM-SHA-512, username: " + servers.User + ", password: \"${PW}\" } } } }\n"
	r.env = append(r.env, "PW=canary-of-a-password")
	in := r.start("run", "-c", r.write("login.yaml", strings.Replace(onceYAML, "pipelines:", yaml+"pipelines:", 1)))
	in.says("refuses the login of user", 60*time.Second)
	in.drain()
	if strings.Contains(in.stderr.String()+in.stdout.String(), "canary-of-a-password") {
		t.Error("the password shows")
	}
}

func TestAPluginThatIsNotWasmIsRefusedAtStart(t *testing.T) {
	r := newRig(t)
	if err := os.WriteFile(filepath.Join(r.dir, "bad.wasm"), []byte("\x7fELF..."), 0o600); err != nil {
		t.Fatal(err)
	}
	in := r.start("run", "-c", r.write("bad.yaml", strings.Replace(onceYAML, "- dedup:", "- transform: { wasm: bad.wasm }\n      - dedup:", 1)))
	select {
	case <-in.done:
	case <-time.After(20 * time.Second):
		t.Fatal("it runs")
	}
	if code := in.cmd.ProcessState.ExitCode(); code != 78 || !strings.Contains(in.stderr.String(), "bad") {
		t.Errorf("exit %d: %s", code, in.stderr)
	}
}

const trapYAML = `version: 1
pipelines:
  trap:
    commit_interval: 100ms
    source: { topics: ["${IN}"], group: "${GROUP}", session_timeout: 6s }
    steps: [ { transform: { wasm: faulty.wasm } } ]
    sinks: { out: { topic: "${OUT}" } }
    dlq: { topic: "${DLQ}" }
`

// The plugin traps on a value that begins with t, and keeps one that begins with k: every third record traps, within
// batches of many.
func TestATrapCostsOneRecord(t *testing.T) {
	r := newRig(t)
	module, err := os.ReadFile("../../runtime/testdata/faulty.wasm")
	if err != nil {
		t.Fatal(err)
	}
	r.write("faulty.wasm", string(module))
	var rs []*kgo.Record
	for i := range 600 {
		word := "keep"
		if i%3 == 2 {
			word = "trap"
		}
		rs = append(rs, &kgo.Record{Key: []byte("one"), Value: fmt.Appendf(nil, "%s %d", word, i)})
	}
	r.feed(rs)
	in := r.start("run", "-c", r.write("trap.yaml", trapYAML))
	var out []string
	r.read(r.out, 60*time.Second, func(rec *kgo.Record) bool {
		out = append(out, string(rec.Value))
		return len(out) == 400
	})
	for i, v := range out {
		if want := fmt.Sprintf("keep %d", i/2*3+i%2); v != want {
			t.Fatalf("output %d is %q, want %q", i, v, want)
		}
	}
	dead := 0
	r.read(r.dlq, 60*time.Second, func(rec *kgo.Record) bool {
		h := map[string]string{}
		for _, x := range rec.Headers {
			h[x.Key] = string(x.Value)
		}
		if h["sp-reason"] != "trap" || len(h["sp-plugin"]) != 64 || !strings.HasPrefix(string(rec.Value), "trap") {
			t.Errorf("dead letter %q with %v", rec.Value, h)
		}
		dead++
		return dead == 200
	})
	in.drain()
	if !strings.Contains(in.stdout.String(), "in 600 = out 400 + filtered 0 + duplicates 0 + held 0 + late 0 + dead-lettered 200") {
		t.Errorf("ledger: %s", in.stdout.String())
	}
}

// The output takes less in one batch than is written by default. The one record that is too large for it goes to the dead
// letters, and not those that would have shared its batch.
func TestATopicThatTakesLittleRefusesOnlyWhatIsTooLarge(t *testing.T) {
	r := newRig(t)
	limit := "20000"
	if _, err := kadm.NewClient(r.cl).AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "max.message.bytes", Value: &limit}}, r.out); err != nil {
		t.Fatal(err)
	}
	const records, large = 200, 77
	var rs []*kgo.Record
	for i := range records {
		pad := 1000
		if i == large {
			pad = 30_000
		}
		rs = append(rs, &kgo.Record{Key: []byte("k"), Value: fmt.Appendf(nil, `{"id":"%d","amount":1,"pad":%q}`, i, strings.Repeat("x", pad))})
	}
	r.feed(rs)
	in := r.start("run", "-c", r.write("once.yaml", onceYAML))
	seen := map[string]bool{}
	r.read(r.out, 60*time.Second, func(rec *kgo.Record) bool {
		var v struct{ ID string }
		if err := json.Unmarshal(rec.Value, &v); err != nil {
			t.Fatalf("%s: %v", rec.Value, err)
		}
		seen[v.ID] = true
		return len(seen) == records-1
	})
	r.read(r.dlq, 30*time.Second, func(rec *kgo.Record) bool {
		for _, h := range rec.Headers {
			if h.Key == "sp-origin" && !strings.HasSuffix(string(h.Value), fmt.Sprintf("@%d", large)) { // all of one key: in order of one partition
				t.Errorf("record %s is a dead letter", h.Value)
			}
		}
		return true
	})
	in.drain()
	if seen[fmt.Sprint(large)] {
		t.Error("the record that is too large came out")
	}
}

// A process that is stopped while its JoinGroup waits for a member that does not answer leaves nothing in the group.
func TestAProcessStoppedWhileItJoinsLeavesTheGroup(t *testing.T) {
	r := newRig(t)
	file := r.write("once.yaml", onceYAML)
	first := r.start("run", "-c", file)
	r.feed([]*kgo.Record{{Key: []byte("k"), Value: []byte(`{"id":"1","amount":1}`)}})
	r.read(r.out, 60*time.Second, func(*kgo.Record) bool { return true })
	group, adm := strings.TrimSuffix(r.in, ".in"), kadm.NewClient(r.cl)
	members := func() int {
		groups, err := adm.DescribeGroups(t.Context(), group)
		if err != nil {
			t.Fatal(err)
		}
		return len(groups[group].Members)
	}
	if err := first.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	second := r.start("run", "-c", file)
	for end := time.Now().Add(5 * time.Second); members() < 2; {
		if time.Now().After(end) {
			t.Fatal("the second member does not join")
		}
	}
	second.drain()
	if n := members(); n > 1 {
		t.Errorf("the group has %d members, want at most the first", n)
	}
	if err := first.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	first.drain()
}
