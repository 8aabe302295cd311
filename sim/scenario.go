package sim

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/sim/judge"
)

// scenario is one pipeline, what it promises, and what is fed to it.
type scenario struct {
	name    string
	steps   string // YAML
	promise judge.Promise
	feed    feed
}

// feed says what a producer sends.
type feed struct {
	copies  bool // some records are sent twice, some of them much later
	shuffle int  // how many places a record of a key may be displaced
	gaps    bool // some sequences are never sent
	jumps   bool // the producer's clock jumps
	scatter bool // a key lies in all partitions
	broken  bool // between the others come some whose values are not JSON
	lives   bool // log time leaps now and then: so far that keys are forgotten and begin anew, or not quite so far
}

const (
	shortWindow = 20 * time.Second
	settle      = 90 * time.Second // after a fault: a session, a rebalance, a rebuild and what they repeat
	maxWait     = 30 * time.Second
)

// scenarios are the pipelines that seeds take turns with.
var scenarios = []scenario{
	{name: "pass", steps: `[ { name: all, filter: "true" } ]`, feed: feed{broken: true}},
	{name: "dedup", steps: `[ { name: once, dedup: { key: $.id, window: 24h } } ]`,
		promise: judge.Promise{Window: 24 * time.Hour}, feed: feed{copies: true, broken: true, jumps: true}},
	{name: "window", steps: `[ { name: once, dedup: { key: $.id, window: 20s } } ]`,
		promise: judge.Promise{Window: shortWindow}, feed: feed{copies: true}},
	{name: "sequence", steps: `[ { name: order, reorder: { key: key, sequence: $.seq, first: 0, max_wait: 10m } } ]`,
		promise: judge.Promise{Order: judge.BySequence, Gapless: true}, feed: feed{copies: true, shuffle: 5}},
	{name: "gaps", steps: `[ { name: order, reorder: { key: key, sequence: $.seq, first: 0, max_wait: 30s } } ]`,
		promise: judge.Promise{Order: judge.BySequence}, feed: feed{copies: true, shuffle: 5, gaps: true}},
	{name: "lives", steps: `[ { name: order, reorder: { key: key, sequence: $.seq, first: 0, max_wait: 10m, forget_after: 10m } } ]`,
		promise: judge.Promise{Order: judge.BySequence, Gapless: true}, feed: feed{copies: true, shuffle: 5, lives: true}},
	{name: "both", steps: `[ { name: once, dedup: { key: $.id, window: 24h } }, { name: order, reorder: { key: key, sequence: $.seq, first: 0, max_wait: 10m } } ]`,
		promise: judge.Promise{Window: 24 * time.Hour, Order: judge.BySequence, Gapless: true}, feed: feed{copies: true, shuffle: 5, broken: true}},
	{name: "time", steps: `[ { name: once, dedup: { key: $.id, window: 24h } }, { name: order, reorder: { time: $.at, max_wait: 30s, idle_timeout: 20s } } ]`,
		promise: judge.Promise{Window: 24 * time.Hour, Order: judge.ByTime}, feed: feed{copies: true, shuffle: 5}},
	{name: "global", steps: `[ { name: once, dedup: { key: $.id, window: 24h, scope: global } } ]`,
		promise: judge.Promise{Window: 24 * time.Hour, Global: true, Order: judge.Unordered}, feed: feed{copies: true, scatter: true}},
	{name: "everywhere", steps: `[ { name: order, reorder: { key: key, sequence: $.seq, first: 0, max_wait: 10m, scope: global } } ]`,
		promise: judge.Promise{Global: true, Order: judge.BySequence, Gapless: true}, feed: feed{copies: true, shuffle: 5, scatter: true}},
}

// hop is the internal topic of a pipeline whose step sees all partitions, and what its second part adds to its group.
const hop = ".rekey"

// groups are the consumer groups of a scenario, in the order in which records pass them.
func (s *scenario) groups() []string {
	if s.promise.Global {
		return []string{s.name, s.name + hop}
	}
	return []string{s.name}
}

// Deliveries are the levels that seeds take turns with.
var Deliveries = []string{"at_least_once", "exactly_once"}

// settings are what a run draws around its scenario.
type settings struct {
	delivery string
	interval time.Duration // commit interval
	poll     int
	workers  int
}

func drawSettings(r *rand.Rand, deliveries []string) settings {
	return settings{
		delivery: deliveries[r.IntN(len(deliveries))],
		interval: []time.Duration{50, 200, 1000}[r.IntN(3)] * time.Millisecond,
		poll:     []int{3, 10, 50}[r.IntN(3)],
		workers:  1 + r.IntN(4)/3,
	}
}

const layout = `
version: 1
resources:
  kafka: { main: { brokers: [localhost:%d] } }
  redis: { main: { addrs: ["%s"] } }
pipelines:
  %s:
    delivery: %s
    workers: %d
    commit_interval: %v
    source: { topics: [in], session_timeout: 6s, poll: { records: %d } }
    steps: %s
    sinks: { out: { topic: out } }
    dlq: { topic: dead }
`

// load writes the configuration of a run into dir and reads it as a user's is read.
func (s *scenario) load(dir string, seed uint64, set settings) (*config.Config, error) {
	file := filepath.Join(dir, fmt.Sprintf("seed-%d.yaml", seed))
	text := fmt.Sprintf(layout, brokerPort, redisAddr, s.name, set.delivery, set.workers, set.interval, set.poll, s.steps)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	defer os.Remove(file)
	return config.Load(config.Options{Paths: []string{file}})
}
