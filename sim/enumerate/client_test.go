package enumerate

import (
	"context"
	"errors"

	"github.com/streamproc/streamproc/pipeline"
	"github.com/streamproc/streamproc/stream"
)

// client is one membership at the broker of the world. The broker fences by generation, as Kafka does: a commit of a
// member that was replaced is refused, but nothing tells it before.
type client struct {
	i          *instance
	generation int // 0: it has no partition yet
	commit     stream.Commit
	first, at  int64
	open       []stream.Record // written, and not shown yet: until they are acknowledged, or the transaction commits
	unwritten  error           // Flush says it
	revoking   chan stream.Revocation
}

func (i *instance) dial() (pipeline.Client, error) {
	if err := i.do("dial", func() error { return nil }); err != nil {
		return nil, err
	}
	return &client{i: i, revoking: make(chan stream.Revocation)}, nil
}

func (c *client) Poll(ctx context.Context, b *stream.Batch) error {
	w := c.i.w
	if c.generation == 0 && w.owner == c.i {
		c.generation, c.commit = w.generation, w.commit
		c.first = max(w.commit.Floor, 0)
		c.at = c.first
	}
	end := min(c.at+int64(w.batch), int64(len(w.log)))
	if c.generation == 0 || c.at == end {
		<-ctx.Done()
		if c.i.dead {
			return errDead
		}
		if c.generation != 0 && c.generation != w.generation {
			return errFenced // by now the group has said so
		}
		return nil
	}
	b.Records = append(b.Records, w.log[c.at:end]...)
	b.Spans = append(b.Spans, stream.Span{Partition: part, From: c.at, To: end, Records: int(end - c.at)})
	c.at = end
	return c.i.do("polled", func() error { return nil })
}

func (c *client) Write(rs []stream.Record) {
	if len(rs) == 0 {
		return
	}
	err := c.i.do("write", func() error {
		if c.open = append(c.open, rs...); c.i.w.eager {
			c.show()
		}
		return nil
	})
	c.unwritten = errors.Join(c.unwritten, err)
}

// show makes what was written part of the outputs.
func (c *client) show() {
	w := c.i.w
	for _, r := range c.open {
		if r.Sink == 2 {
			w.dead = append(w.dead, r)
		} else {
			w.out = append(w.out, r)
		}
	}
	c.open = nil
}

func (c *client) Flush(context.Context) ([]stream.Record, error) {
	if c.unwritten != nil {
		return nil, c.unwritten
	}
	return nil, c.i.do("flush", func() error {
		if !c.i.w.once {
			c.show()
		}
		return nil
	})
}

func (c *client) Commit(_ context.Context, marks []stream.Mark) error {
	w := c.i.w
	return c.i.do("commit", func() error {
		if c.generation != w.generation {
			return errFenced
		}
		w.commit = marks[0].Commit
		w.floors = append(w.floors, w.commit.Floor)
		if w.once {
			c.show()
		}
		return nil
	})
}

func (c *client) Assignment(p stream.Partition) stream.Assignment {
	return stream.Assignment{Partition: p, Commit: c.commit, Position: c.first}
}

func (c *client) Replay(_ context.Context, p stream.Partition, from, to int64, visit func(*stream.Batch) error) (int64, error) {
	from = max(from, 0)
	b := stream.Batch{Spans: []stream.Span{{Partition: p, From: from, To: to, Records: int(to - from)}}}
	b.Records = append(b.Records, c.i.w.log[from:to]...)
	return from, c.i.do("replay", func() error { return visit(&b) })
}

func (c *client) Committed(context.Context, stream.Partition) (commit stream.Commit, err error) {
	err = c.i.do("committed", func() error { commit = c.i.w.commit; return nil })
	return commit, err
}

func (c *client) Revoking() <-chan stream.Revocation { return c.revoking }
func (c *client) Full() bool                         { return false }
func (c *client) Room() <-chan struct{}              { return nil }
func (c *client) CaughtUp(stream.Partition) bool     { return c.at == int64(len(c.i.w.log)) }
func (c *client) End(stream.Partition) int64         { return int64(len(c.i.w.log)) }
func (c *client) Discard()                           { c.open = nil }
func (c *client) Close()                             {}
