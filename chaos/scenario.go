// Package chaos breaks a running streamproc, its Kafka and its Redis on purpose while records flow, and judges by the
// content of the output what became of every record.
package chaos

import (
	_ "embed"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/streamproc/streamproc/chaos/load"
	"github.com/streamproc/streamproc/kafka"
)

// Scenario is one run: what flows through what, and what breaks meanwhile.
type Scenario struct {
	Name      string
	Load      load.Load // of each pipeline; the second has the next seed
	Rate      int       // records a second, for each pipeline
	Pipelines int       // 0 is 1; all in one configuration, on the same servers
	Instances int       // at the start; 0 is 1
	Delivery  string    // one of the levels; "" is AtLeastOnce
	Brokers   int       // 1 or 3; broker faults want 3
	Proxied   bool      // the instances reach Kafka and Redis by proxies, which network faults break
	RedisArgs []string  // more arguments of redis-server
	Spare     bool      // there is a second Redis, which may become a replica and take over; wants Proxied
	Dense     bool      // faults do not wait for the output to recover from the one before
	Plan      func(*rand.Rand) []Event
	scale     float64
	soak      bool
}

// Event is a fault at its place in the load, from 0 to 1.
type Event struct {
	At    float64
	Lasts time.Duration
	Fault Fault
}

const (
	sessionTimeout = 6 * time.Second
	commitInterval = 100 * time.Millisecond
)

func (s *Scenario) complete() {
	s.Pipelines, s.Instances, s.Brokers = max(s.Pipelines, 1), max(s.Instances, 1), max(s.Brokers, 1)
	if s.Delivery == "" {
		s.Delivery = AtLeastOnce
	}
}

// The levels of delivery. Legacy is what a user asks for as exactly_once, on brokers whose transactions are those before
// KIP-890.
const (
	AtLeastOnce = "at_least_once"
	ExactlyOnce = "exactly_once"
	Legacy      = string(kafka.LevelLegacy)
)

// setting is the level as a user writes it.
func (s *Scenario) setting() string {
	if s.Delivery == Legacy {
		return ExactlyOnce
	}
	return s.Delivery
}

// features are the levels of what the brokers can do, where they are not to be the newest.
func (s *Scenario) features() map[string]int {
	if s.Delivery == Legacy {
		return map[string]int{"transaction.version": 1}
	}
	return nil
}

// The part of the load within which faults happen: records flow before the first and after the last.
const firstFault, lastFault = 0.03, 0.97

// Spread puts faults at random moments, so that each has a stretch of the load of its own, in random order.
func Spread(rng *rand.Rand, faults ...Fault) []Event {
	order := rng.Perm(len(faults))
	events := make([]Event, len(faults))
	for i, n := range order {
		f := faults[n]
		at := (float64(i) + rng.Float64()) / float64(len(faults))
		events[i] = Event{At: firstFault + at*(lastFault-firstFault), Lasts: f.Lasts, Fault: f}
		if more := f.UpTo - f.Lasts; more > 0 {
			events[i].Lasts += time.Duration(rng.Int64N(int64(more)))
		}
	}
	return events
}

// Times repeats a fault.
func Times(n int, f Fault) []Fault { return slices.Repeat([]Fault{f}, n) }

// byTime puts the events of several plans into one order.
func byTime(events []Event) []Event {
	slices.SortStableFunc(events, func(a, b Event) int {
		switch {
		case a.At < b.At:
			return -1
		case a.At > b.At:
			return 1
		}
		return 0
	})
	return events
}

//go:embed testdata/poison.wasm
var poison []byte

// poisonFile is where the plugin stands, beside the configuration.
const poisonFile = "poison.wasm"

// configuration is what a user would write for a scenario.
func (s *Scenario) configuration(lanes []*lane, brokers []string, redis string) string {
	c := fmt.Sprintf("version: 1\nresources:\n  kafka: { main: { brokers: %s } }\n  redis: { state: { addrs: [%q] } }\npipelines:\n", list(brokers), redis)
	filter := `'value.kind != "noise"'`
	if s.Load.Poisoned > 0 {
		filter = "{ wasm: " + poisonFile + " }"
	}
	scope := "partition"
	if s.Load.Scattered {
		scope = "global"
	}
	for _, l := range lanes {
		c += fmt.Sprintf(`  %s:
    delivery: %s
    commit_interval: %s
    source: { topics: [%q], start: earliest, session_timeout: %s }
    steps:
      - dedup: { key: $.id, window: 24h, scope: %s }
      - reorder: { key: $.key, sequence: $.seq, first: 0, max_wait: 10m, scope: %s }
      - filter: %s
    sinks: { out: { topic: %q, key: $.key } }
    dlq: { topic: %q }
`, l.name, s.setting(), commitInterval, l.in, sessionTimeout, scope, scope, filter, l.out, l.dlq)
	}
	return c + "admin: { listen: \"127.0.0.1:0\" }\n"
}

func list(words []string) string {
	text := "["
	for i, w := range words {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%q", w)
	}
	return text + "]"
}

// random is where the choices of a plan come from.
func random(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 11)) }

// What Redis may use: an id takes 16 bytes, and a quarter more for the steps in which its allocator lets a long string grow; a key
// what is known of its order. Beside them there are what reorder holds back, answers and buffers of each pipeline, and Redis itself.
const (
	bytesOfID       = 20
	bytesOfKey      = 128
	bytesOfPipeline = 8 << 20
	bytesOfRedis    = 8 << 20
)

func (s *Scenario) redisBound() int64 {
	return bytesOfRedis + int64(s.Pipelines)*(bytesOfPipeline+bytesOfID*s.Load.IDs+bytesOfKey*s.Load.AllKeys())
}
