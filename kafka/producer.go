package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/streamproc/streamproc/stream"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// producer writes the records of one worker: asynchronous, idempotent, in order per partition, bounded by bytes.
type producer struct {
	topics  []string       // by sink number - 1
	limits  []*batchLimits // likewise
	clients []*kgo.Client  // by sink number - 1; outputs that agree in everything share one
	extra   []*kgo.Client  // those that are not the member's own
	limit   int64
	opens   bool // in transactions: see opening
	room    chan struct{}
	waiting atomic.Bool
	written int // in this transaction

	// In a transaction, what follows its first write waits until the brokers have taken that: until then they put off whatever they
	// get, each for itself, and refuse what is out of order in the end, with an error in their log for each batch.
	opening   atomic.Int64 // records of the first write that the brokers have not taken yet
	held      []*outgoing
	heldBytes atomic.Int64

	mu      sync.Mutex
	refused []stream.Record
	failed  int // of written
	err     error
}

func newProducer(member *kgo.Client, cluster Cluster, limits *batchLimits, own int, outputs []Output, limitBytes int64, log *slog.Logger) (*producer, error) {
	p := &producer{limit: limitBytes, room: make(chan struct{}, 1)}
	shared, limited := map[Output]*kgo.Client{}, map[*kgo.Client]*batchLimits{member: limits}
	if own >= 0 {
		shared[outputs[own].connection()] = member
	}
	for _, o := range outputs {
		cl := shared[o.connection()]
		if cl == nil {
			at := cluster
			if o.Cluster != nil {
				at = *o.Cluster
			}
			of := newBatchLimits(at, log)
			var err error
			if cl, err = kgo.NewClient(append(append(at.lasting(log), of.option()), o.producerOptions()...)...); err != nil {
				p.close()
				return nil, fmt.Errorf("making a Kafka client for topic %s: %w", o.Topic, err)
			}
			shared[o.connection()], limited[cl] = cl, of
			p.extra = append(p.extra, cl)
		}
		p.topics, p.clients, p.limits = append(p.topics, o.Topic), append(p.clients, cl), append(p.limits, limited[cl])
	}
	return p, nil
}

// connection is what outputs must agree in to share a client.
func (o Output) connection() Output { o.Topic, o.Internal = "", false; return o }

// outgoing is the records of one write, in one allocation.
type outgoing struct {
	p       *producer
	records []kgo.Record
	from    []origin
	bytes   int64
	opening bool // the first of a transaction
}

// origin is what a record that the brokers refuse is accounted by.
type origin struct {
	stream.Coordinate
	sink stream.Sink
	fate stream.Fate
	hops uint8
}

func (p *producer) write(rs []stream.Record) {
	if len(rs) == 0 {
		return
	}
	o := &outgoing{p: p, records: make([]kgo.Record, len(rs)), from: make([]origin, len(rs)), opening: p.opens && p.written == 0}
	now := time.Now()
	p.written += len(rs)
	for i := range rs {
		r, k := &rs[i], &o.records[i]
		o.from[i] = origin{r.Origin, r.Sink, r.Fate, r.Hops}
		k.Topic, k.Key, k.Value, k.Timestamp = p.topics[r.Sink-1], r.Key, r.Value, writeTime(r.Timestamp, now)
		if len(r.Headers) > 0 {
			k.Headers = make([]kgo.RecordHeader, len(r.Headers))
			for j, h := range r.Headers {
				k.Headers[j] = kgo.RecordHeader(h)
			}
		}
		if r.Hops > 0 {
			k.Headers = append(k.Headers, kgo.RecordHeader{Key: headerHops, Value: formatHops(r.Hops)})
		}
		o.bytes += int64(len(r.Key) + len(r.Value))
	}
	p.held = append(p.held, o)
	p.heldBytes.Add(o.bytes)
	p.release()
}

// release gives the client what is held, unless the first write of the transaction is still waited for.
func (p *producer) release() {
	if p.opening.Load() > 0 {
		return
	}
	for _, o := range p.held {
		if o.opening {
			p.opening.Store(int64(len(o.records)))
		}
		done := o.done
		for i := range o.records {
			p.clients[o.from[i].sink-1].TryProduce(context.Background(), &o.records[i], done)
		}
	}
	clear(p.held)
	p.held = p.held[:0]
	p.heldBytes.Store(0)
}

// aheadLimit is how far ahead of the clock a timestamp is written. It is Kafka's default for what a broker takes
// (message.timestamp.after.max.ms): beyond it the whole produce batch is refused, with the innocent records in it.
const aheadLimit = time.Hour

// writeTime is the timestamp of an output: that of its record, unless no broker would take it.
func writeTime(milliseconds int64, now time.Time) time.Time {
	if milliseconds < 0 || milliseconds > now.Add(aheadLimit).UnixMilli() {
		return now
	}
	return time.UnixMilli(milliseconds)
}

// done is the promise of every record: it runs on franz-go's goroutine and must not block.
func (o *outgoing) done(r *kgo.Record, err error) {
	p := o.p
	opened := o.opening && p.opening.Add(-1) == 0
	if p.waiting.Load() && (opened || !p.full()) {
		select {
		case p.room <- struct{}{}:
		default:
		}
	}
	if err == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed++
	if !refusedForGood(err) {
		if p.err == nil {
			p.err = fmt.Errorf("writing to %s: %w", r.Topic, err)
		}
		return
	}
	for i := range o.records {
		if &o.records[i] == r {
			p.refused = append(p.refused, stream.Record{Key: r.Key, Value: r.Value, Origin: o.from[i].Coordinate, Sink: o.from[i].sink, Fate: o.from[i].fate, Hops: o.from[i].hops,
				Cause: &stream.Cause{Reason: stream.ReasonProduce, Message: fmt.Sprintf("topic %s refuses the record: %v", r.Topic, err)}})
		}
	}
}

// fail makes the next flush report err.
func (p *producer) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
	}
}

// acknowledged is how many records the brokers have taken since settled, after a flush.
func (p *producer) acknowledged() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.written - p.failed
}

// settled begins to count anew.
func (p *producer) settled() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.written, p.failed = 0, 0
}

// refusedForGood says that the fault is the record's: written again it would be refused again.
func refusedForGood(err error) bool {
	return errors.Is(err, kerr.MessageTooLarge) || errors.Is(err, kerr.InvalidRecord) || errors.Is(err, kerr.RecordListTooLarge)
}

func (p *producer) full() bool {
	n := p.heldBytes.Load()
	seen := (*kgo.Client)(nil)
	for _, cl := range p.clients {
		if cl != seen {
			n += cl.BufferedProduceBytes()
			seen = cl
		}
	}
	full := n >= p.limit
	p.waiting.Store(full)
	return full
}

func (p *producer) flush(ctx context.Context) ([]stream.Record, error) {
	for {
		var seen *kgo.Client
		for _, cl := range p.clients {
			if cl == seen {
				continue
			}
			seen = cl
			if err := cl.Flush(ctx); err != nil {
				return nil, fmt.Errorf("waiting for outputs to be acknowledged: %w", err)
			}
		}
		if len(p.held) == 0 {
			break
		}
		p.release()
	}
	refused, err := p.outcome()
	if err == nil {
		err = p.narrowed(ctx, refused)
	}
	return refused, err
}

func (p *producer) outcome() ([]stream.Record, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	refused, err := p.refused, p.err
	p.refused = nil
	return refused, err
}

// narrowed finds out whether records that are not too large by what is known were refused because a topic takes less by now.
// They may be innocent, so none of them is given up: the next client knows better.
func (p *producer) narrowed(ctx context.Context, refused []stream.Record) error {
	asked := map[string]bool{}
	for i := range refused {
		r := &refused[i]
		topic, limits := p.topics[r.Sink-1], p.limits[r.Sink-1]
		if asked[topic] || !fits(r, limits.of(topic)) {
			continue
		}
		asked[topic] = true
		if err := limits.narrowed(ctx, topic); err != nil {
			return err
		}
	}
	return nil
}

func (p *producer) close() {
	for _, cl := range p.extra {
		cl.Close()
	}
}
