package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/streamproc/streamproc/sim/judge"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	keys   = 12
	perKey = 25
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
}

// run sends everything within about the given time.
func (p *producer) run(ctx context.Context, within time.Duration) error {
	opts := []kgo.Opt{kgo.ProducerLinger(0)}
	if p.feed.scatter {
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

// drafts puts the sequences of all keys in the order in which they are sent.
func (p *producer) drafts() []draft {
	streams := make([][]draft, keys)
	for k := range streams {
		var s []draft
		for n := range int64(perKey) {
			if p.feed.gaps && p.r.IntN(20) == 0 {
				continue
			}
			s = append(s, draft{k, n})
		}
		for i := range s {
			if j := i + p.r.IntN(p.feed.shuffle+1); j < len(s) {
				s[i], s[j] = s[j], s[i]
			}
		}
		streams[k] = s
	}
	var all []draft
	for i := range perKey {
		for _, s := range streams {
			if i < len(s) {
				all = append(all, s[i])
			}
		}
	}
	return p.repeat(all)
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
		s := judge.Sent{Number: len(p.sent), Key: fmt.Sprint("k", d.key), ID: fmt.Sprintf("k%d:%d", d.key, d.sequence), Sequence: d.sequence,
			Event: d.sequence * 10_000, At: time.UnixMilli(time.Now().Add(p.skew).UnixMilli())}
		s.Value = fmt.Sprintf(`{"id":%q,"seq":%d,"at":%d,"n":%d}`, s.ID, s.Sequence, s.Event, s.Number)
		if p.feed.broken && p.r.IntN(60) == 0 {
			s.Broken = true
			s.Value = fmt.Sprintf(`{"n":%d, broken`, s.Number)
		}
		rec := &kgo.Record{Topic: inTopic, Key: []byte(s.Key), Value: []byte(s.Value), Timestamp: s.At}
		if p.feed.scatter {
			rec.Partition = p.r.Int32N(partitions)
		}
		if err := cl.ProduceSync(ctx, rec).FirstErr(); err != nil {
			return fmt.Errorf("feeding record %d: %w", s.Number, err)
		}
		s.Partition, s.Offset = rec.Partition, rec.Offset
		p.sent = append(p.sent, s)
	}
	return nil
}
