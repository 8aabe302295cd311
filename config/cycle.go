package config

import (
	"fmt"
	"slices"
	"strings"
)

// flow is a topic that one pipeline writes and another reads.
type flow struct {
	from, to *Pipeline
	by       *Sink
}

// checkCycles looks for records that go round: a pipeline writes what another reads, which writes, maybe over others, what the
// first reads. Whether they ever leave is for the steps to say; where there are none, they do not.
func (b *builder) checkCycles() {
	flows := flowsOf(b.cfg.Pipelines)
	for i, p := range b.cfg.Pipelines {
		later := map[*Pipeline]bool{} // a cycle is told once, at the first of its pipelines
		for _, q := range b.cfg.Pipelines[i:] {
			later[q] = true
		}
		if round := wayBack(flows, p, later); len(round) > 0 {
			b.tellCycle(round)
		}
	}
}

// flowsOf lists which pipelines are read by which others, by the pipeline that writes.
func flowsOf(all []*Pipeline) map[*Pipeline][]flow {
	readers := map[string][]*Pipeline{}
	for _, p := range all {
		for _, topic := range p.Source.Topics {
			readers[topic] = append(readers[topic], p)
		}
	}
	flows := map[*Pipeline][]flow{}
	for _, p := range all {
		for _, s := range append(slices.Clone(p.Sinks), p.DLQ) {
			for _, q := range readers[s.Topic] {
				if q != p && sameCluster(s.Kafka, q.Source.Kafka) { // one that reads its own output is an error of its own
					flows[p] = append(flows[p], flow{p, q, s})
				}
			}
		}
	}
	return flows
}

// sameCluster says that two names are those of one cluster, as far as can be seen.
func sameCluster(a, b *Kafka) bool {
	return a == b || slices.ContainsFunc(a.Brokers, func(address string) bool { return slices.Contains(b.Brokers, address) })
}

// wayBack is the shortest way of a record from a pipeline back to it, through pipelines that it may pass.
func wayBack(flows map[*Pipeline][]flow, start *Pipeline, may map[*Pipeline]bool) []flow {
	came := map[*Pipeline]flow{}
	for queue := []*Pipeline{start}; len(queue) > 0; queue = queue[1:] {
		for _, f := range flows[queue[0]] {
			if _, seen := came[f.to]; seen || !may[f.to] {
				continue
			}
			came[f.to] = f
			queue = append(queue, f.to)
		}
	}
	var round []flow
	for at := start; len(round) == 0 || at != start; at = round[0].from {
		f, there := came[at]
		if !there {
			return nil
		}
		round = slices.Insert(round, 0, f)
	}
	return round
}

func (b *builder) tellCycle(round []flow) {
	var way []string
	endless, what := true, "records may go round for ever"
	for _, f := range round {
		way = append(way, fmt.Sprintf("%s writes %s, which %s reads", f.from.Name, f.by.Topic, f.to.Name))
		endless = endless && len(f.from.Steps) == 0 && f.by != f.from.DLQ
		if f.by == f.from.DLQ {
			what = "dead letters may go round until they are dropped"
		}
	}
	where, written := b.places[round[0].by]
	if !written { // the dead letters that need not be written
		where = b.names.pipelines[round[0].from.Name]
	}
	if endless {
		where.fail(conflict, "write to another topic", "every record goes round for ever: %s, and no step lets any go", strings.Join(way, "; "))
		return
	}
	where.warn(cycle, "write to another topic, or see to it that a step lets go what has been round", "%s: %s", what, strings.Join(way, "; "))
}
