// Package mutants breaks the engine on purpose, in ways that each break a promise, to show that the harness would notice.
//
// A mutant is a change of one place in the source, laid over the build: the product holds nothing of it. Where the text it
// changes is no longer there, it says so instead of passing.
package mutants

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Mutant is one way to break the engine.
type Mutant struct {
	Name     string
	Breaks   string // which promise, and how
	File     string // within the module
	Old, New string // the text that stands there once, and what takes its place
	// By are the parts of the harness that have to notice it, each by itself: Simulation, Enumeration, or a package whose
	// tests do. A defence that stands behind others shows only to the test of its own.
	By []string
	// Scenario and Delivery narrow the simulations to those where it can show; "" leaves them.
	Scenario, Delivery string
}

// The parts of the harness.
const (
	Simulation  = "./sim"
	Enumeration = "./sim/enumerate"
)

// All are the mutants.
var All = slices.Concat(engine, metering)

// engine are those of the state protocol. The first eight are the mistakes that others have made, or that we have.
var engine = []Mutant{
	{Name: "setnx", By: []string{Simulation, Enumeration}, Breaks: "a redelivered record is taken for a copy of itself",
		File: "dedup/partition.go", Old: "return p.verdict(offset, sub)", New: "return p.window.first(p.hash.digest(id)), nil"},
	{Name: "commit-first", By: []string{Simulation, Enumeration}, Breaks: "offsets are committed before the outputs are acknowledged",
		File: "pipeline/checkpoint.go", Old: "g.Go(func() error { return w.flush(gx) })", New: "g.Go(func() error { return nil })", Delivery: "at_least_once"},
	{Name: "recover-deletes-all", By: []string{Simulation}, Breaks: "a late take-over deletes the redo blob that the owner has prepared",
		File: "redisstate/script.go", Old: "local lost = apply(ARGV[2])\nif lost then return lost end\ncall('PEXPIRE', nexts, ARGV[3])",
		New: "local lost = apply(ARGV[2])\nfor _, k in ipairs(call('KEYS', '*')) do if string.find(k, tag .. ':redo:', 1, true) then call('DEL', k) end end\n" +
			"if lost then return lost end\ncall('PEXPIRE', nexts, ARGV[3])", Scenario: "sequence"},
	{Name: "no-floor", By: []string{Simulation, Enumeration}, Breaks: "what was polled is committed, although some of it is still held",
		File: "pipeline/checkpoint.go", Old: "c.Floor = min(c.Floor, floor)", New: "_ = floor", Scenario: "sequence"},
	{Name: "no-guard", By: []string{Simulation}, Breaks: "a member commits what it polled in an earlier membership",
		File: "kafka/guard.go", Old: "const guarded = true", New: "const guarded = false", Scenario: "pass"},
	{Name: "end-ignored", By: []string{Simulation}, Breaks: "a transaction that did not commit is taken for one that did",
		File: "kafka/transaction.go", Old: "if err != nil {\n\t\t\treturn t.explain(err)\n\t\t}\n\t\tt.open, t.ended = false", New: "_ = err\n\t\tt.open, t.ended = false",
		Delivery: "exactly_once"},
	{Name: "no-overlap-check", By: []string{"./redisstate"}, Breaks: "an entry is appended wherever it begins",
		File: "redisstate/script.go", Old: "if h > from or l > length then return {'STALE', string.format('%.0f', h)} end", New: ""},
	{Name: "length-only-fence", By: []string{"./redisstate"}, Breaks: "a log that was rolled back and has grown again is taken for the one that was",
		File: "redisstate/script.go", Old: "if h < from or (h == from and l < length) then return {'LOST', string.format('%.0f', h)} end\nif h > from or l > length then",
		New: "if l < length then return {'LOST', string.format('%.0f', h)} end\nif l > length then"},

	{Name: "holes", By: []string{"./dedup"}, Breaks: "a partition log with a hole in it is read as if it were whole",
		File: "dedup/log.go", Old: "return (l.end < 0 || e.from == l.end) && e.gen >= l.p.gen", New: "return e.gen >= l.p.gen"},
	{Name: "no-token", By: []string{"./redisstate"}, Breaks: "a worker whose partition was taken over goes on appending",
		File: "redisstate/script.go", Old: "if m[1] ~= ARGV[1] then return {'STALE', m[2] or '-1'} end", New: ""},
	{Name: "no-token-in-memory", By: []string{"./memstate", "./dedup"}, Breaks: "the same, in the store that the model tests use",
		File: "memstate/log.go", Old: "if l.token != e.Token {", New: "if false {"},
	{Name: "no-watermark", By: []string{Simulation}, Breaks: "after a restart event time begins anew",
		File: "reorder/time.go", Old: "w := a.Commit.Watermark", New: "w := int64(math.MinInt64)", Scenario: "time", Delivery: "exactly_once"},
	{Name: "rebuild-to-floor", By: []string{Simulation, Enumeration}, Breaks: "a rebuild of the next sequences leaves out what was polled above the floor",
		File: "reorder/open.go", Old: "start, err := a.History.Replay(ctx, -1, l.head, d.visit)", New: "start, err := a.History.Replay(ctx, -1, a.Commit.Floor, d.visit)"},
	{Name: "no-chain", By: []string{"./redisstate"}, Breaks: "a redo blob is applied whatever came before it",
		File: "redisstate/script.go", Old: "if prevOf(b) ~= done then", New: "if false then"},
	{Name: "no-head", By: []string{Enumeration}, Breaks: "what was settled above the floor before a restart is late",
		File: "reorder/sequence.go", Old: "reread := b.Records[i].Origin.Offset < l.head", New: "reread := false"},
	{Name: "no-rebuild", By: []string{Simulation, Enumeration}, Breaks: "a worker goes on after a checkpoint that did not commit",
		File: "pipeline/checkpoint.go", Old: "if err := w.client.Commit(ctx, marks); err != nil {\n\t\treturn err\n\t}", New: "_ = w.client.Commit(ctx, marks)"},
	{Name: "late-wipe", By: []string{Enumeration, "./reorder"}, Breaks: "a worker that is late wipes the state of a group that it takes for new",
		File: "reorder/open.go", Old: "if now.Nonce != l.nonce || now.Floor >= 0 && a.Commit.Floor < 0 {", New: "if now.Nonce != l.nonce && a.Commit.Floor >= 0 {"},
	{Name: "no-end-on-revoke", By: []string{Simulation}, Breaks: "partitions move on before their checkpoint has ended",
		File: "kafka/client.go", Old: "if c.offer(r, late.C) {", New: "if len(r.Partitions) == 0 {", Delivery: "at_least_once"},
	{Name: "commit-again", By: []string{"./kafka"}, Breaks: "a commit that the network may still deliver is sent again, and puts the offsets back when it arrives",
		File: "kafka/client.go", Old: "late.Store(true)\n\t\tgiveUp()", New: ""},
	{Name: "forgets-early", By: []string{Simulation, "./reorder"}, Breaks: "a key is forgotten that came a generation ago",
		File: "reorder/lane.go", Old: "return l.before >= k.seen+l.life", New: "return l.before >= k.seen", Scenario: "lives"},
	{Name: "rebuild-remembers", By: []string{Simulation, "./reorder"}, Breaks: "a rebuild of the next sequences knows keys that were forgotten",
		File: "reorder/open.go", Old: "if !k.loaded || d.lane.stale(k) {", New: "if !k.loaded {", Scenario: "lives"},
	{Name: "store-forgets-early", By: []string{Simulation, "./reorder"}, Breaks: "the store drops keys that are not forgotten yet",
		File: "reorder/lane.go", Old: "return l.committed - l.life + 1", New: "return l.committed + 1", Scenario: "lives"},
}

// Overlay writes the changed file into dir and the file that tells go build to use it. root is the module's folder.
func (m *Mutant) Overlay(root, dir string) (string, error) {
	path := filepath.Join(root, m.File)
	source, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(source), m.Old); n != 1 {
		return "", fmt.Errorf("mutant %s: %s holds %d times the text that it changes, not once: adapt it to the engine as it is now:\n%s", m.Name, m.File, n, m.Old)
	}
	changed := filepath.Join(dir, "source.txt")
	if err := os.WriteFile(changed, []byte(strings.Replace(string(source), m.Old, m.New, 1)), 0o600); err != nil {
		return "", err
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{path: changed}})
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "overlay.json")
	return file, os.WriteFile(file, overlay, 0o600)
}
