package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/streamproc/streamproc/config"
	"github.com/streamproc/streamproc/kafka"
	"github.com/streamproc/streamproc/redisstate"
	"github.com/streamproc/streamproc/stream"
)

// Keeper looks after what one pipeline has outside its process: offsets in Kafka, state in Redis. It is not part of a daemon
// that runs. Close it in the end.
type Keeper struct {
	cfg     *config.Pipeline
	offsets *kafka.Offsets
	stores  map[*config.Redis]*redisstate.Client
}

// NewKeeper connects to the servers of a pipeline.
func NewKeeper(p *config.Pipeline) (*Keeper, error) {
	cluster, err := clusterOf(p.Source.Kafka, nil)
	if err != nil {
		return nil, err
	}
	k := &Keeper{cfg: p, stores: map[*config.Redis]*redisstate.Client{}}
	if k.offsets, err = kafka.NewOffsets(*cluster, groupOf(p), slog.New(slog.DiscardHandler)); err != nil {
		return nil, err
	}
	for _, r := range storesOf(p) {
		t, err := tlsOf(r.TLS)
		if err == nil {
			k.stores[r], err = redisstate.Open(redisstate.Options{Addrs: r.Addrs, Master: r.Master, Username: r.Username, Password: r.Password.Reveal(), DB: r.DB, TLS: t})
		}
		if err != nil {
			delete(k.stores, r)
			return nil, errors.Join(fmt.Errorf("redis %s: %w", r.Name, err), k.Close())
		}
	}
	return k, nil
}

// Close ends the connections.
func (k *Keeper) Close() error {
	k.offsets.Close()
	var errs []error
	for _, s := range k.stores {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// space is where a step keeps its state, with what it does when that is lost; nil for a step without.
func (k *Keeper) space(st *config.Step) (space *redisstate.Space, onLoss string) {
	var store *config.Redis
	switch {
	case st.Dedup != nil:
		store, onLoss = st.Dedup.Store, st.Dedup.OnStateLoss
	case st.Reorder != nil && st.Reorder.Sequence != "":
		store, onLoss = st.Reorder.Store, st.Reorder.OnStateLoss
	default:
		return nil, ""
	}
	return k.stores[store].Space(k.cfg.Name, st.Name), onLoss
}

// StepState is what one step keeps for one partition, beside what Kafka has committed.
type StepState struct {
	Step      string `json:"step"`
	Verb      string `json:"verb"`
	Partition string `json:"partition"`
	Committed int64  `json:"committed"` // offset; -1: nothing is
	Head      int64  `json:"head"`      // dedup: end offset of the log; -1: none
	Bytes     int64  `json:"bytes"`     // dedup: of the log
	Keys      int64  `json:"keys"`      // reorder: with a sequence
	Outlook   string `json:"outlook"`   // new, kept, or lost and what is done about it
}

// States tells what every step with state keeps.
func (k *Keeper) States(ctx context.Context) ([]StepState, error) {
	standings, err := k.offsets.Standings(ctx)
	if err != nil {
		return nil, err
	}
	list := []StepState{}
	for i := range k.cfg.Steps {
		st := &k.cfg.Steps[i]
		space, onLoss := k.space(st)
		if space == nil {
			continue
		}
		for _, s := range standings {
			h, err := space.Show(ctx, stream.StateKey{Partition: s.Partition, TopicID: s.TopicID}, s.Commit.Nonce)
			if err != nil {
				return nil, fmt.Errorf("step %s: %w", st.Name, err)
			}
			list = append(list, StepState{Step: st.Name, Verb: st.Verb(), Partition: s.Partition.String(), Committed: s.At,
				Head: h.Head, Bytes: h.Bytes, Keys: h.Keys, Outlook: outlook(st, &s, &h, onLoss)})
		}
	}
	return list, nil
}

// outlook says what the next take-over will find.
func outlook(st *config.Step, s *kafka.Standing, h *redisstate.Held, onLoss string) string {
	switch {
	case s.Commit.Floor < 0:
		return "new"
	case st.Dedup != nil && h.Head < s.Commit.Floor:
		return "lost: " + onLoss
	case st.Reorder != nil && (s.Commit.Nonce == "" || !h.Current):
		return "lost: " + onLoss
	}
	return "kept"
}

// Drop forgets the state of every step. What a step then does is its on_state_loss.
func (k *Keeper) Drop(ctx context.Context) error {
	standings, err := k.offsets.Standings(ctx)
	if err != nil {
		return err
	}
	return k.drop(ctx, standings)
}

func (k *Keeper) drop(ctx context.Context, standings []kafka.Standing) error {
	for i := range k.cfg.Steps {
		space, _ := k.space(&k.cfg.Steps[i])
		if space == nil {
			continue
		}
		for _, s := range standings {
			if err := space.Drop(ctx, stream.StateKey{Partition: s.Partition, TopicID: s.TopicID}); err != nil {
				return fmt.Errorf("step %s: %w", k.cfg.Steps[i].Name, err)
			}
		}
	}
	return nil
}

// Rebuildable returns nil if what is dropped is derived again from the log.
func (k *Keeper) Rebuildable() error {
	for i := range k.cfg.Steps {
		if space, onLoss := k.space(&k.cfg.Steps[i]); space != nil && onLoss != "rebuild" {
			return fmt.Errorf("step %s has on_state_loss: %s: set it to rebuild, at least until the pipeline runs again", k.cfg.Steps[i].Name, onLoss)
		}
	}
	return nil
}

// Idle returns nil if no instance runs the pipeline.
func (k *Keeper) Idle(ctx context.Context) error { return k.offsets.Idle(ctx) }

// Offset is where a pipeline stands in one partition.
type Offset struct {
	Partition string `json:"partition"`
	Start     int64  `json:"start"`
	Committed int64  `json:"committed"` // -1: nothing is
	Head      int64  `json:"head"`      // next offset never polled
	End       int64  `json:"end"`
	Lag       int64  `json:"lag"`
	Skips     string `json:"skips,omitempty"`
	To        *int64 `json:"to,omitempty"` // where a reset moves it

	at kafka.Standing
}

// Offsets tells where the pipeline stands.
func (k *Keeper) Offsets(ctx context.Context) ([]Offset, error) {
	standings, err := k.offsets.Standings(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]Offset, len(standings))
	for i, s := range standings {
		list[i] = Offset{Partition: s.Partition.String(), Start: s.Start, Committed: s.At, Head: s.Commit.Head, End: s.End,
			Lag: s.End - max(s.At, s.Start), Skips: string(s.Commit.Skips), at: s}
	}
	return list, nil
}

// Target is where offsets are to be moved.
type Target struct {
	Earliest, Latest bool
	At               time.Time
	Offset           int64 // if none of the others
}

// Plan says where each partition would be moved, within what its log still has.
func (k *Keeper) Plan(ctx context.Context, t Target) ([]Offset, error) {
	list, err := k.Offsets(ctx)
	if err != nil {
		return nil, err
	}
	at := map[stream.Partition]int64{}
	if !t.At.IsZero() {
		if at, err = k.offsets.After(ctx, t.At); err != nil {
			return nil, err
		}
	}
	for i := range list {
		o := &list[i]
		to := t.Offset
		switch {
		case t.Earliest:
			to = o.Start
		case t.Latest:
			to = o.End
		case !t.At.IsZero():
			to = at[o.at.Partition]
		}
		to = min(max(to, o.Start), o.End)
		o.To = &to
	}
	return list, nil
}

// Rewinds says that a plan moves a partition back behind what is committed: its outputs will come again.
func Rewinds(plan []Offset) bool {
	for _, o := range plan {
		if *o.To < o.Committed {
			return true
		}
	}
	return false
}

// Move carries a plan out. What it skips is released: the commit names it, so that later copies are no duplicates of records
// that nobody processed, and no key waits for them. The state is dropped first, for it was that of another place.
func (k *Keeper) Move(ctx context.Context, plan []Offset) error {
	if err := errors.Join(k.Idle(ctx), k.Rebuildable()); err != nil {
		return err
	}
	var marks []stream.Mark
	var moved []kafka.Standing
	for _, o := range plan {
		if *o.To == o.Committed {
			continue
		}
		moved = append(moved, o.at)
		c := stream.Commit{Floor: *o.To, Head: *o.To, Watermark: math.MinInt64}
		if from := max(o.Committed, o.Start); c.Floor > from {
			c.Skips = o.at.Commit.Skips.Forward(from, c.Floor)
		} else {
			c.Skips = o.at.Commit.Skips.Back(c.Floor)
		}
		marks = append(marks, stream.Mark{Partition: o.at.Partition, Commit: c})
	}
	if err := k.drop(ctx, moved); err != nil || len(marks) == 0 {
		return err
	}
	return k.offsets.Set(ctx, marks)
}
