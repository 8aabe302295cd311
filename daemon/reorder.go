package daemon

import (
	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/pipeline"
	"github.com/streamproc/streamproc/redisstate"
	"github.com/streamproc/streamproc/reorder"
)

var (
	_ pipeline.Holder       = (*reorder.Sequence)(nil)
	_ pipeline.Ticker       = (*reorder.Sequence)(nil)
	_ pipeline.Checkpointed = (*reorder.Sequence)(nil)
	_ pipeline.Holder       = (*reorder.Time)(nil)
	_ pipeline.Ticker       = (*reorder.Time)(nil)
	_ reorder.Store         = (*redisstate.Space)(nil)
)

// reorder makes the step that restores order.
func (b *builder) reorder(st *config.Step) (pipeline.Step, error) {
	r := st.Reorder
	c := reorder.Config{Name: st.Name, First: r.First, Any: r.FirstAny, MaxWait: r.MaxWait, ForgetAfter: r.ForgetAfter, MaxBuffered: r.MaxBuffered, IdleTimeout: r.IdleTimeout,
		MaxFuture: r.MaxFuture, OnGap: reorder.OnGap(r.OnGap), Late: reorder.Late(r.Late), Side: b.numbers[r.Side], OnStateLoss: reorder.StateLoss(r.OnStateLoss),
		Now: b.options.Now, Events: b.observe.reorder(st.Name)}
	if r.Time != "" {
		at, err := b.path(r.Time)
		if err != nil {
			return nil, err
		}
		c.Time = at.Time
		return reorder.NewTime(c)
	}
	key, err := b.path(r.Key)
	if err != nil {
		return nil, err
	}
	sequence, err := b.path(r.Sequence)
	if err != nil {
		return nil, err
	}
	c.Key, c.Sequence, c.Store = key.Key, sequence.Int64, b.stores[r.Store].Space(b.cfg.Name, st.Name)
	return reorder.NewSequence(c)
}
