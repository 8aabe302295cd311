package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/streamproc/streamproc/internal/servers"
	"github.com/twmb/franz-go/pkg/kgo"
)

const onceYAML = `version: 1
pipelines:
  once:
    commit_interval: 100ms
    source: { topics: ["${IN}"], group: "${GROUP}", session_timeout: 6s }
    steps:
      - filter: 'value.amount >= 0'
      - dedup: { key: $.id }
    sinks: { out: { topic: "${OUT}" } }
    dlq: { topic: "${DLQ}" }
`

var inTransactions = strings.Replace(onceYAML, "commit_interval", "delivery: exactly_once\n    commit_interval", 1)

// Processes are killed, and all of Redis forgotten, while records flow: nothing is lost, no copy comes out in the place of
// the first, and per key the first appearances are in order. What a killed process had not committed may come out again.
func TestEveryIDComesOutThroughKillsAndAFlush(t *testing.T) {
	repeats := killsAndAFlush(newRig(t), onceYAML)
	t.Logf("%d repeats after 3 kills and a flush", repeats)
}

// The same in exactly_once: whoever reads committed records sees each id once, to the very end of the topic.
func TestEveryIDComesOutOnceInTransactions(t *testing.T) {
	onceInTransactions(newRig(t))
}

// And on brokers whose transactions are those before KIP-890.
func TestEveryIDComesOutOnceInTransactionsOfOlderBrokers(t *testing.T) {
	r := newRigOn(t, olderKafka(t))
	deliveryIs(r, "exactly_once-legacy")
	onceInTransactions(r)
}

// olderKafka starts a Kafka with the transactions before KIP-890.
func olderKafka(t *testing.T) (broker string) {
	t.Helper()
	return servers.NewKafka(t, servers.KafkaOptions{Features: map[string]int{"transaction.version": 1}}).Brokers()[0]
}

func onceInTransactions(r *rig) {
	t := r.t
	t.Helper()
	repeats := killsAndAFlush(r, inTransactions)
	all, ends := 0, 0
	marker, err := kgo.NewClient(kgo.SeedBrokers(r.kafka), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer marker.Close()
	for p := range int32(4) {
		if err := marker.ProduceSync(t.Context(), &kgo.Record{Topic: r.out, Partition: p}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	r.read(r.out, 30*time.Second, func(rec *kgo.Record) bool {
		if rec.Value == nil {
			ends++
		} else {
			all++
		}
		return ends == 4
	})
	if repeats != 0 || all != ids {
		t.Errorf("%d repeats, and %d records of %d ids to the end", repeats, all, ids)
	}
}

func TestTheDeliveryThatTheBrokersGiveIsSaid(t *testing.T) {
	deliveryIs(newRig(t), "exactly_once (KIP-890 part 2)")
}

// deliveryIs wants the level to be said at start and by validate.
func deliveryIs(r *rig, level string) {
	t := r.t
	t.Helper()
	file := r.write("once.yaml", inTransactions)
	in := r.start("run", "-c", file)
	in.says("delivery is "+level, 30*time.Second)
	in.says("one replica: ", 30*time.Second)
	in.drain()
	check := r.start("validate", "-c", file)
	if err := <-check.done; err != nil || !strings.Contains(check.stdout.String(), "once: delivery is "+level) {
		t.Errorf("validate: %v\n%s%s", err, &check.stdout, check.stderr)
	}
}

// A process that is killed and started again takes the place of the dead one: nobody waits for a session to end, which is
// longer here than anybody would wait.
func TestAKilledInstanceIsReplacedAtOnce(t *testing.T) {
	const classic, consumer = "session_timeout: 5m", "group_protocol: consumer" // the brokers' session is 45 s
	for name, c := range map[string]struct{ yaml, session string }{"plain": {onceYAML, classic}, "transactions": {inTransactions, classic}, "consumer": {inTransactions, consumer}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			yaml := strings.Replace(c.yaml, "session_timeout: 6s", c.session, 1)
			file := r.write("once.yaml", yaml)
			a, b := r.start("run", "-c", file), r.start("run", "-c", file)
			id := 0
			round := func() {
				seen := map[string]bool{}
				var rs []*kgo.Record
				for range 200 {
					rs = append(rs, &kgo.Record{Key: fmt.Appendf(nil, "k%d", id%50), Value: fmt.Appendf(nil, `{"id":"%d","amount":1}`, id)})
					id++
				}
				r.feed(rs)
				r.read(r.out, 30*time.Second, func(rec *kgo.Record) bool {
					seen[string(rec.Value)] = true
					return len(seen) == id
				})
			}
			round()
			for range 3 {
				a.kill()
				a = r.start("run", "-c", file)
				round()
			}
			a.says("is taken out of it", 30*time.Second)
			a.drain()
			b.drain()
		})
	}
}

const ids = 20_000

func killsAndAFlush(r *rig, yaml string) (repeats int) {
	t := r.t
	t.Helper()
	file := r.write("once.yaml", yaml)
	a, b := r.start("run", "-c", file), r.start("run", "-c", file)
	const chunk = 2_000
	for from := 0; from < ids; from += chunk {
		var rs []*kgo.Record
		for i := from; i < from+chunk; i++ {
			rec := func(copied int) *kgo.Record {
				return &kgo.Record{Key: fmt.Appendf(nil, "k%d", i%50), Value: fmt.Appendf(nil, `{"id":"%d","copy":%d,"seq":%d,"amount":1}`, i, copied, i)}
			}
			rs = append(rs, rec(0))
			if i%20 == 0 { // a copy near, and one far
				rs = append(rs, rec(1))
			}
			if far := i - 3_000; far >= 0 && far%20 == 1 {
				rs = append(rs, &kgo.Record{Key: fmt.Appendf(nil, "k%d", far%50), Value: fmt.Appendf(nil, `{"id":"%d","copy":1,"seq":%d,"amount":1}`, far, far)})
			}
		}
		r.feed(rs)
		switch from / chunk {
		case 2, 6:
			a.kill()
			a = r.start("run", "-c", file)
		case 4:
			r.flushRedis()
		case 5:
			b.kill()
			b = r.start("run", "-c", file)
		}
	}
	seen, high := map[string]bool{}, map[string]int{}
	r.read(r.out, 90*time.Second, func(rec *kgo.Record) bool {
		var v struct {
			ID   string
			Copy int
			Seq  int
		}
		if err := json.Unmarshal(rec.Value, &v); err != nil {
			t.Fatalf("%s: %v", rec.Value, err)
		}
		switch key := string(rec.Key); {
		case v.Copy != 0:
			t.Errorf("a later copy of %s came out", v.ID)
		case seen[v.ID]:
			repeats++
		case v.Seq < high[key]:
			t.Errorf("key %s: %d after %d", key, v.Seq, high[key])
		default:
			seen[v.ID], high[key] = true, v.Seq
		}
		return len(seen) == ids
	})
	a.drain()
	b.drain()
	return repeats
}

// What cannot be processed goes to the dead letters with its reason, and its neighbours go on.
func TestTroubleWithARecordCostsThatRecord(t *testing.T) {
	r := newRig(t)
	file := r.write("once.yaml", onceYAML)
	in := r.start("run", "-c", file)
	r.feed([]*kgo.Record{
		{Key: []byte("k"), Value: []byte(`{"id":"1","amount":1}`)},
		{Key: []byte("k"), Value: []byte(`not json`)},
		{Key: []byte("k"), Value: nil},
		{Key: []byte("k"), Value: []byte(`{"amount":1}`)},
		{Key: []byte("k"), Value: []byte(`{"id":"2","amount":-1}`)},
		{Key: []byte("k"), Value: []byte(`{"id":"3","amount":1}`)},
	})
	var out []string
	r.read(r.out, 30*time.Second, func(rec *kgo.Record) bool {
		out = append(out, string(rec.Value))
		return len(out) == 2
	})
	if !strings.Contains(out[0], `"1"`) || !strings.Contains(out[1], `"3"`) {
		t.Errorf("out came %q", out)
	}
	var dead []string
	r.read(r.dlq, 30*time.Second, func(rec *kgo.Record) bool {
		h := map[string]string{}
		for _, x := range rec.Headers {
			h[x.Key] = string(x.Value)
		}
		if h["sp-pipeline"] != "once" || !strings.HasPrefix(h["sp-origin"], r.in) || h["sp-error"] == "" {
			t.Errorf("a dead letter with headers %v", h)
		}
		dead = append(dead, h["sp-reason"])
		return len(dead) == 3
	})
	if fmt.Sprint(dead) != "[decode decode decode]" {
		t.Errorf("reasons %v", dead)
	}
	in.drain()
	if !strings.Contains(in.stdout.String(), "in 6 = out 2 + filtered 1 + duplicates 0 + held 0 + late 0 + dead-lettered 3") {
		t.Errorf("ledger: %s", in.stdout.String())
	}
}

func TestAMissingTopicAndABrokerAwayAreSaid(t *testing.T) {
	r := newRig(t)
	file := r.write("absent.yaml", strings.Replace(onceYAML, "${IN}", "no-such-topic", 1))
	in := r.start("run", "-c", file)
	in.says("topic no-such-topic does not exist: create it", 30*time.Second)
	in.drain()
	r.env = append(r.env, "KAFKA_BROKERS=127.0.0.1:1")
	away := r.start("run", "-c", r.write("once.yaml", onceYAML))
	away.says("Kafka at 127.0.0.1:1 does not answer", 40*time.Second)
	away.drain()
}
