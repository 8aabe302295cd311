package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func load(t *testing.T, text string, env map[string]string) (*Config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "p.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(Options{Paths: []string{file}, LookupEnv: func(k string) (string, bool) { v, ok := env[k]; return v, ok }})
}

const complete = `version: 1
resources:
  kafka: { main: { brokers: ["${BROKERS:-localhost:9092}"] } }
  redis: { state: { addrs: ["127.0.0.1:6379"] } }
pipelines:
  accept:
    delivery: at_least_once
    commit_interval: 100ms
    source: { topics: ["${IN}"], group: "${GROUP}", start: earliest, session_timeout: 6s }
    steps:
      - filter: 'value.acct.startsWith("a")'
      - dedup: { key: $.id, window: 24h }
      - reorder: { key: $.acct, sequence: $.seq, first: 0, max_wait: 5m }
    sinks: { out: { topic: out, key: $.acct } }
    dlq: { topic: dead }
admin: { listen: "127.0.0.1:${ADMIN_PORT}" }
`

func TestACompleteConfigurationIsResolved(t *testing.T) {
	c, err := load(t, complete, map[string]string{"IN": "in", "GROUP": "g", "ADMIN_PORT": "1234"})
	if err != nil {
		t.Fatal(err)
	}
	p := c.Pipelines[0]
	if p.Name != "accept" || p.CommitInterval != 100*time.Millisecond || p.Source.SessionTimeout != 6*time.Second || p.Source.Topics[0] != "in" || p.Source.Group != "g" {
		t.Errorf("pipeline %+v", p)
	}
	if p.Source.Kafka.Brokers[0] != "localhost:9092" || c.Admin.Listen != "127.0.0.1:1234" || p.DLQ.Topic != "dead" || p.Default() != p.Sinks[0] {
		t.Errorf("kafka %+v, admin %+v, dlq %+v", p.Source.Kafka, c.Admin, p.DLQ)
	}
	if d, r := p.Steps[1].Dedup, p.Steps[2].Reorder; d.Window != 24*time.Hour || d.Store.Addrs[0] != "127.0.0.1:6379" || r.FirstAny || r.MaxWait != 5*time.Minute {
		t.Errorf("dedup %+v, reorder %+v", p.Steps[1].Dedup, p.Steps[2].Reorder)
	}
}

func TestTheShortestPipelineNeedsNoResources(t *testing.T) {
	c, err := load(t, "version: 1\npipelines:\n  clicks:\n    source: { topics: [clicks] }\n    sinks: { out: { topic: clicks.unique } }\n", map[string]string{"KAFKA_BROKERS": "a:1,b:2"})
	if err != nil {
		t.Fatal(err)
	}
	if p := c.Pipelines[0]; len(p.Source.Kafka.Brokers) != 2 || p.Source.Group != "clicks" || p.DLQ.Topic != "clicks.dlq" {
		t.Errorf("pipeline %+v", p)
	}
}

// mistakes each break one thing of the complete configuration; want is said at its place. Some are beyond what a schema
// can tell.
var mistakes = []struct {
	old, new, want string
	beyondSchema   bool
}{
	{"- reorder:", "- reoder:", `:13:9: pipelines.accept.steps[2].reoder: unknown key (did you mean "reorder"?)`, false},
	{"max_wait: 5m", "max_wait: 8d", "forget_after is 7d, and max_wait is 8d", true},
	{"window: 24h", "window: 24", `pipelines.accept.steps[1].dedup.window: "24" is no duration (write 24s, or 24ms)`, false},
	{"window: 24h", "on_unavailable: pause", `unknown value "pause" (use stall, pass or fail)`, false},
	{"key: $.id", "key: id", `is no path`, true},
	{"startsWith(\"a\")'", "startsWith('", `the expression is wrong`, true},
	{"delivery: at_least_once", "delivery: exactly", `unknown value "exactly" (use at_least_once or exactly_once)`, false},
	{"delivery: at_least_once\n    commit_interval: 100ms", "delivery: exactly_once\n    commit_interval: 4s", "commit_interval is 4s, and at most half of session_timeout, 3s", true},
	{"commit_interval: 100ms", "commit_interval: 10ms", `10ms is out of the range of 20ms to 1m (a commit takes some milliseconds`, true},
	{"session_timeout: 6s", "session_timeout: 6s, group_protocol: consumer", "the session timeout is the brokers'", true},
	{"${IN}", "${NOPE}", `the environment has no NOPE`, true},
	{"topic: out,", "topic: in,", `read its own output`, true},
	{"version: 1", "version: 2", `:1:10: version: this build reads version 1 only`, false},
	{"dlq: { topic: dead }", "dlq: { topic: dead }\n    dlq: { topic: dead2 }", "the key is there twice", true},
	{"sequence: $.seq,", "", "exactly one of sequence and time is wanted, here is none", false},
	{"{ out: { topic: out, key: $.acct } }", "{ out: { topic: out }, other: { topic: o2 } }", "without a route there is one sink", true},
	{"dedup: { key: $.id, window: 24h }", "dedup: [x]", "want a mapping", false},
	{"127.0.0.1:${ADMIN_PORT}", "0.0.0.0:${ADMIN_PORT}", "can be reached from outside", true},
	{"start: earliest", "decode: avro", "avro is not available in this version", false},
	{"- dedup: { key: $.id, window: 24h }", "- { on_error: retry, dedup: { key: $.id } }", "only filter and transform can try a record again", true},
	{"topic: out,", "topic: { expr: 'key', allow: [a] },", "a topic chosen by an expression is not available in this version (name one topic, and route to a sink for each)", false},
	{"commit_interval: 100ms", "journal: off", "it is not available in this version (leave it out)", false},
	{"topic: out,", "topic: ..,", `".." is no name of a topic`, true},
	{"topic: out,", "topic: ../out,", `"../out" is no name of a topic`, true},
	{"topic: out,", "topic: " + strings.Repeat("o", 300) + ",", `is no name of a topic`, true},
	{"session_timeout: 6s", "session_timeout: 6s, poll: {}, poll: {}", "the key is there twice, first in line 9", true},
	{"admin: {", "admin: { hosts: [], hosts: [],", "the key is there twice", true},
	{"[\"127.0.0.1:6379\"]", "[\"127.0.0.1\"]", `"127.0.0.1" is no address (write host:port)`, true},
	{"- dedup: { key: $.id, window: 24h }", "- transform: { py: x.py }", "engine is missing: a Python is not carried (add engine: { wasm: python.wasm, sha256: … }", true},
	{"- dedup: { key: $.id, window: 24h }", "- transform: { py: x.py, engine: { wasm: p.wasm } }", "sha256 is missing (add sha256: what sha256sum prints for the file)", false},
	{"- dedup: { key: $.id, window: 24h }", "- transform: { js: x.js, engine: { wasm: p.wasm, sha256: " + strings.Repeat("0", 64) + " } }", "only a script in Python names its engine", true},
	{"pipelines:\n  accept:", `  plugins: { p: { wasm: p.wasm, kv: { prefix: "user:" } } }` + "\npipelines:\n  accept:", `store is missing (add store: NAME, one of resources.redis)`, false},
	{"pipelines:\n  accept:", `  plugins: { p: { wasm: p.wasm, kv: { store: stat, prefix: "user:" } } }` + "\npipelines:\n  accept:", `there is no redis named "stat" (did you mean "state"?)`, true},
	{"pipelines:\n  accept:", `  plugins: { p: { wasm: p.wasm, kv: { store: state, prefix: "" } } }` + "\npipelines:\n  accept:", `a prefix has 1 to 256 bytes, not 0`, true},
	{"pipelines:\n  accept:", `  plugins: { p: { wasm: p.wasm, kv: { store: state, prefix: "{sp:" } } }` + "\npipelines:\n  accept:", `under "{sp:" lies the state of steps`, true},
	{"pipelines:\n  accept:", `  plugins: { p: { wasm: p.wasm, kv: { store: state, prefix: "u:", prefetch: id } } }` + "\npipelines:\n  accept:", `write $.id for a field of the value`, true},
	{"pipelines:\n  accept:", `  plugins: { p: { wasm: p.wasm, metrics: [a, a] } }` + "\npipelines:\n  accept:", `the counter is there twice`, true},
	{"pipelines:\n  accept:", `  plugins: { p: { wasm: p.wasm, metrics: [A-b] } }` + "\npipelines:\n  accept:", `"A-b" is no name of a counter`, false},
	{"- dedup: { key: $.id, window: 24h }", "- dedup: { id: $.id }", "steps[1].dedup.id: unknown key (key is missing: add key: $.id)", false},
	{"- dedup: { key: $.id, window: 24h }", "- dedup: { ky: $.id }", `steps[1].dedup.ky: unknown key (did you mean "key"?)`, false},
	{"- dedup: { key: $.id, window: 24h }", "- transform: { wasm: p.wasm, limits: { fuel: 1k } }", "transform.limits: it does not stand here (give the plugin a name in resources.plugins, write it there, and plugin: NAME here)", false},
	{"- dedup: { key: $.id, window: 24h }", "- transform: { oci: p }", "transform.oci: it does not stand here (give the plugin a name", false},
	{"- dedup: { key: $.id, window: 24h }", "- transform: { wasm: p.ts }", "transform.wasm: it is a script (write js: p.ts)", true},
	{"pipelines:\n  accept:", `  plugins: { p: { js: p.wasm } }` + "\npipelines:\n  accept:", "plugins.p.js: it is a module (write wasm: p.wasm)", true},
	{"pipelines:\n  accept:", `  plugins: { p: { wasm: p.wasm, config: { a: 1 } } }` + "\npipelines:\n  accept:", "plugins.p.config: it does not stand here (write it at the step that uses the plugin)", false},
	{"[\"127.0.0.1:6379\"]", "[]", "the list is empty (name at least one host:port)", true},
}

func TestWhatIsWrongIsNamedWithPlaceAndRemedy(t *testing.T) {
	env := map[string]string{"IN": "in", "GROUP": "g", "ADMIN_PORT": "1"}
	for _, c := range mistakes {
		if !strings.Contains(complete, c.old) {
			t.Fatalf("%q is not in the configuration", c.old)
		}
		_, err := load(t, strings.Replace(complete, c.old, c.new, 1), env)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "^") {
			t.Errorf("%s:\n%v\nwant %s", c.new, err, c.want)
		}
	}
}

// TestOneSlipIsToldOnce where the key that is unknown is the one that is missing.
func TestOneSlipIsToldOnce(t *testing.T) {
	for _, step := range []string{"dedup: { ky: $.id }", "dedup: { id: $.id }", "transform: { oci: p }", "transform: { wsm: p.wasm }"} {
		_, err := load(t, strings.Replace(complete, "dedup: { key: $.id, window: 24h }", step, 1), map[string]string{"IN": "in", "GROUP": "g", "ADMIN_PORT": "1"})
		if told := Found(err); len(told) != 1 {
			t.Errorf("%s: told is\n%v", step, told)
		}
	}
}

const onceYAML = `version: 1
resources: { kafka: { main: { brokers: ["a:1"] }, other: { brokers: ["b:1"] } } }
pipelines:
  once:
    delivery: exactly_once
    source: { kafka: main, topics: [in] }
    sinks: { out: { topic: out, compression: zstd } }
`

func TestATransactionLiesInOneClusterAndHasOneProducer(t *testing.T) {
	c, err := load(t, onceYAML, nil)
	if err != nil {
		t.Fatal(err)
	}
	if p := c.Pipelines[0]; !p.ExactlyOnce || p.DLQ.Compression != "zstd" {
		t.Errorf("exactly once %v, dead letters %+v", p.ExactlyOnce, p.DLQ)
	}
	for _, c := range []struct{ old, new, want string }{
		{"topic: out", "kafka: other, topic: out", "out is on another cluster than the source, and a transaction lies in one cluster"},
		{"    sinks:", "    dlq: { compression: gzip }\n    sinks:", "out and dlq differ, and a transaction has one producer (give all sinks the same compression and linger)"},
	} {
		if _, err := load(t, strings.Replace(onceYAML, c.old, c.new, 1), nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s:\n%v\nwant %s", c.new, err, c.want)
		}
	}
}

func TestAllProblemsComeAtOnceInOrder(t *testing.T) {
	_, err := load(t, "version: 1\npipelines:\n  p:\n    workers: none\n    source: { topics: [t], start: soon }\n    sinks: { out: { topic: o, linger: 5 } }\n", nil)
	var errs Problems
	if !errors.As(err, &errs) || len(errs) != 3 || errs[0].Line != 4 || errs[1].Line != 5 || errs[2].Line != 6 {
		t.Errorf("got %v", err)
	}
}

func TestYAMLThatCannotBeReadHasALine(t *testing.T) {
	_, err := load(t, "version: 1\npipelines: [\n", nil)
	if err == nil || !strings.Contains(err.Error(), "p.yaml:") {
		t.Errorf("got %v", err)
	}
}

func TestAnAliasBombIsRefused(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for _, l := range []string{"b:a", "c:b", "d:c", "e:d", "f:e"} {
		bomb += string(l[0]) + ": &" + string(l[0]) + " [" + strings.TrimSuffix(strings.Repeat("*"+string(l[2])+",", 10), ",") + "]\n"
	}
	if _, err := load(t, bomb, nil); err == nil || !strings.Contains(err.Error(), "10000 nodes") {
		t.Errorf("got %v", err)
	}
}

func TestSecretsDoNotShow(t *testing.T) {
	c, err := load(t, "version: 1\nresources: { redis: { r: { addrs: ['a:1'], password: \"${PW}\" } } }\npipelines:\n  p:\n    source: { topics: [t] }\n    sinks: { out: { topic: o } }\n", map[string]string{"PW": "canary"})
	if err != nil {
		t.Fatal(err)
	}
	pw := c.Redis["r"].Password
	text, _ := pw.MarshalText()
	if pw.Reveal() != "canary" || strings.Contains(pw.String()+pw.GoString()+string(text)+pw.LogValue().String(), "canary") {
		t.Errorf("the secret shows, or is lost")
	}
}

// Whatever is written, and whatever is set on the command line, the loader ends, with problems that can be shown.
func FuzzLoad(f *testing.F) {
	f.Add(complete, "pipelines.accept.workers=4")
	f.Add(complete, "pipelines.accept.steps[1].dedup={key: $.x}")
	f.Add("version: 1\npipelines: {p: {source: {topics: [*a]}}}", "a[0]=1")
	f.Add("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]", "c[0][1]=[")
	f.Add("version: 1\nresources: { redis: { r: { addrs: ['${A:-b}:1'], password: \"${P:?no}\" } } }", "resources.redis.r.password=x")
	for _, m := range mistakes {
		f.Add(strings.Replace(complete, m.old, m.new, 1), "=")
	}
	f.Fuzz(func(t *testing.T, text, set string) {
		if strings.Contains(text+set, "${file:") {
			return // it would read what is here
		}
		file := filepath.Join(t.TempDir(), "p.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := Load(Options{Paths: []string{file}, Set: []string{set}, LookupEnv: noEnvironment})
		var problems Problems
		switch {
		case errors.As(err, &problems) && problems.Invalid():
		case err == nil && len(cfg.Pipelines) > 0:
			problems = cfg.Warnings
		default:
			t.Fatalf("neither a configuration nor problems: %v, %v", cfg, err)
		}
		for _, p := range problems {
			if p.Line < 1 || p.Column < 1 || p.Message == "" {
				t.Errorf("a problem without a place: %+v", p)
			}
		}
		_ = problems.Text(true) + problems.JSON() + problems.GitHub() + problems.SARIF()
	})
}

// TestNoPipelineReadsItsOwnDeadLetters has no dlq in it, which has a name all the same.
func TestNoPipelineReadsItsOwnDeadLetters(t *testing.T) {
	const yaml = "version: 1\npipelines:\n  p:\n    source: { topics: [in, p.dlq] }\n    sinks: { out: { topic: out } }\n"
	if _, err := load(t, yaml, nil); err == nil || !strings.Contains(err.Error(), "the pipeline would read its own dead letters from topic p.dlq (name another with dlq: { topic: NAME })") {
		t.Errorf("a pipeline that reads its own dead letters has the error %v", err)
	}
	if _, err := load(t, yaml+"    dlq: { topic: p.dead }\n", nil); err != nil {
		t.Errorf("with another topic: %v", err)
	}
}
