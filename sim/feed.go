package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/streamproc/streamproc/sim/judge"
	"github.com/twmb/franz-go/pkg/kgo"
)

// shape is how many keys there are, and how many sequences of each.
type shape struct{ keys, perKey int }

// shapes are few keys that come often, and many that hardly ever do.
var shapes = []shape{{12, 25}, {12, 25}, {12, 25}, {100, 3}}

const (
	chapters   = 3                // of a feed with lives; log time leaps between them
	shortLeap  = 4 * time.Minute  // no key is forgotten: with two chapters it stays below a life of 10 minutes
	longLeap   = 21 * time.Minute // every key is: it is above two lives
	lifeOfKeys = 1000             // what a life adds to the sequence that order is judged by
)

// producer sends what a scenario asks for, bit by bit, and keeps the log of what was acknowledged.
type producer struct {
	w    *world
	r    *rand.Rand
	feed feed
	sent []judge.Sent
	skew time.Duration
}

// draft is a record to be sent.
type draft struct {
	key      int
	sequence int64
	life     int64         // how often its key has begun anew
	broken   bool          // it cannot be read, and has no sequence
	leap     time.Duration // of log time before it
}

// run sends everything within about the given time.
func (p *producer) run(ctx context.Context, within time.Duration) error {
	opts := []kgo.Opt{kgo.ProducerLinger(0)}
	if p.feed.scatter || p.feed.lives {
		opts = append(opts, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	}
	cl, err := p.w.client(opts...)
	if err != nil {
		return err
	}
	defer cl.Close()
	drafts := p.drafts()
	pause := within / time.Duration(len(drafts)/4+1)
	for len(drafts) > 0 {
		n := min(1+p.r.IntN(8), len(drafts))
		if err := p.send(ctx, cl, drafts[:n]); err != nil {
			return err
		}
		drafts = drafts[n:]
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(p.r.Int64N(int64(2*pause) + 1))):
		}
	}
	return nil
}

// drafts puts all records in the order in which they are sent.
func (p *producer) drafts() []draft {
	size := shapes[p.r.IntN(len(shapes))]
	if !p.feed.lives {
		return p.spoil(p.repeat(p.shuffled(size, 0, 0)))
	}
	all := p.shuffled(shape{12, 8}, 0, 0)
	for first, life, n := int64(8), int64(0), int64(1); n < chapters; n++ {
		leap := shortLeap
		if p.r.IntN(2) == 0 {
			leap, first, life = longLeap, 0, life+1
		}
		all = append(all, p.heralds(n, leap)...)
		all = append(all, p.repeat(p.shuffled(shape{12, 8}, first, life))...)
		first += 8
	}
	return all
}

// heralds let log time leap in every partition: what comes behind them finds its key forgotten, or not. They have keys of
// their own, which are the first to come and so are not forgotten.
func (p *producer) heralds(n int64, leap time.Duration) (list []draft) {
	for i := range partitions {
		list = append(list, draft{key: 12 + i, sequence: n - 1, leap: leap})
		leap = 0
	}
	return list
}

// shuffled mixes the sequences of all keys, from first on.
func (p *producer) shuffled(size shape, first, life int64) (all []draft) {
	streams := make([][]draft, size.keys)
	for k := range streams {
		var s []draft
		for n := range int64(size.perKey) {
			if p.feed.gaps && p.r.IntN(20) == 0 {
				continue
			}
			s = append(s, draft{key: k, sequence: first + n, life: life})
		}
		for i := range s {
			if j := i + p.r.IntN(p.feed.shuffle+1); j < len(s) {
				s[i], s[j] = s[j], s[i]
			}
		}
		streams[k] = s
	}
	for i := range size.perKey {
		for _, s := range streams {
			if i < len(s) {
				all = append(all, s[i])
			}
		}
	}
	return all
}

// spoil puts records between the others that cannot be read.
func (p *producer) spoil(good []draft) (all []draft) {
	for _, d := range good {
		if p.feed.broken && p.r.IntN(40) == 0 {
			all = append(all, draft{key: d.key, broken: true})
		}
		all = append(all, d)
	}
	return all
}

// repeat sends some records again: at once, a little later, or much later.
func (p *producer) repeat(once []draft) []draft {
	if !p.feed.copies {
		return once
	}
	again := map[int][]draft{}
	var all []draft
	for i, d := range once {
		all = append(all, d)
		if p.r.IntN(4) == 0 {
			at := i + []int{0, 3, 40, 120}[p.r.IntN(4)]
			again[at] = append(again[at], d)
		}
		all = append(all, again[i]...)
		delete(again, i)
	}
	return all
}

func (p *producer) send(ctx context.Context, cl *kgo.Client, drafts []draft) error {
	if p.feed.jumps && p.r.IntN(10) == 0 {
		p.skew = []time.Duration{0, -time.Hour, 10 * time.Minute}[p.r.IntN(3)]
	}
	for _, d := range drafts {
		p.skew += d.leap
		s := p.sign(d)
		rec := &kgo.Record{Topic: inTopic, Key: []byte(s.Key), Value: []byte(s.Value), Timestamp: s.At}
		switch {
		case p.feed.scatter:
			rec.Partition = p.r.Int32N(partitions)
		case p.feed.lives:
			rec.Partition = int32(d.key % partitions)
		}
		if err := cl.ProduceSync(ctx, rec).FirstErr(); err != nil {
			return fmt.Errorf("feeding record %d: %w", s.Number, err)
		}
		s.Partition, s.Offset = rec.Partition, rec.Offset
		p.sent = append(p.sent, s)
	}
	return nil
}

// sign makes a record of a draft.
func (p *producer) sign(d draft) judge.Sent {
	s := judge.Sent{Number: len(p.sent), Key: fmt.Sprint("k", d.key), ID: fmt.Sprintf("k%d:%d.%d", d.key, d.life, d.sequence),
		Sequence: d.life*lifeOfKeys + d.sequence, Event: d.sequence * 10_000, At: time.UnixMilli(time.Now().Add(p.skew).UnixMilli())}
	s.Value = fmt.Sprintf(`{"id":%q,"seq":%d,"at":%d,"n":%d}`, s.ID, d.sequence, s.Event, s.Number)
	if s.Broken = d.broken; s.Broken {
		s.ID, s.Value = fmt.Sprint("broken ", s.Number), fmt.Sprintf(`{"n":%d, broken`, s.Number)
	}
	return s
}
