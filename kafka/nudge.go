package kafka

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	nudgeAfter = 2 * time.Second // how long a transaction waits for its coordinator before that is nudged, and how often then
	nudgeLife  = 3 * nudgeAfter  // until the brokers end what a nudge has left open
	nudgeIDs   = 128             // among so many ids there is nearly always one whose coordinator is the same broker
	nudgeTurns = 4               // of these so many are used, one after the other: one that is stuck itself is no help
)

// nudged does f. While f takes long, it nudges the coordinator of the transaction.
//
// A coordinator that cannot write down the end of a transaction in time, because a broker has just died, tries again when it
// is next woken: by the end of another transaction, or after request.timeout.ms, 30 s. Until then whatever the holder of the id
// asks for is answered by CONCURRENT_TRANSACTIONS. Where a coordinator has few producers, nobody wakes it: so we do, by an empty transaction.
// docs/decisions/0020-nudges.md has what was seen.
func (t *transactions) nudged(f func() error) error {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	late := time.AfterFunc(nudgeAfter, func() {
		defer close(ended)
		t.nudge(ctx)
	})
	defer func() {
		stop()
		if !late.Stop() {
			<-ended
		}
	}()
	return f()
}

// nudge goes on until ctx ends. It is no harm if it fails.
func (t *transactions) nudge(ctx context.Context) {
	for ; ctx.Err() == nil; t.nudges++ {
		next := time.Now().Add(nudgeAfter)
		one, cancel := context.WithDeadline(ctx, next)
		id, err := t.beside(one, t.nudges%nudgeTurns)
		if err == nil {
			err = emptyTransaction(one, t.cl, id, t.group)
		}
		cancel()
		t.log.Debug("the transaction waits for its coordinator, which is nudged", "transactional_id", t.id, "nudge", id, "error", err)
		pass(ctx, time.Until(next))
	}
}

// beside is an id of ours whose coordinator is the same broker: the turn-th of such ids, or the last that there is.
func (t *transactions) beside(ctx context.Context, turn int) (string, error) {
	q := kmsg.NewPtrFindCoordinatorRequest()
	q.CoordinatorType = kindTransaction.code
	q.CoordinatorKeys = append(q.CoordinatorKeys, t.id)
	for i := range nudgeIDs {
		q.CoordinatorKeys = append(q.CoordinatorKeys, fmt.Sprintf("%s.nudge-%d", t.id, i))
	}
	resp, err := q.RequestWith(ctx, t.cl)
	if err != nil {
		return "", fmt.Errorf("asking for the coordinator of %s: %w", t.id, err)
	}
	at := map[string]int32{}
	for _, c := range resp.Coordinators {
		if c.ErrorCode == 0 {
			at[c.Key] = c.NodeID
		}
	}
	own, known := at[t.id]
	id := ""
	for _, other := range q.CoordinatorKeys[1:] {
		if node, ok := at[other]; !ok || node != own {
			continue
		}
		if id = other; turn == 0 {
			break
		}
		turn--
	}
	if !known || id == "" {
		return "", fmt.Errorf("transactional id %s has no coordinator, or one that no other id has", t.id)
	}
	return id, nil
}

// emptyTransaction begins a transaction as id, makes the offsets of a group part of it, and aborts it.
func emptyTransaction(ctx context.Context, cl *kgo.Client, id, group string) error {
	q := kmsg.NewPtrInitProducerIDRequest()
	q.TransactionalID, q.TransactionTimeoutMillis, q.ProducerID, q.ProducerEpoch = &id, int32(nudgeLife.Milliseconds()), -1, -1
	got, err := q.RequestWith(ctx, cl)
	if err == nil {
		err = kerr.ErrorForCode(got.ErrorCode)
	}
	if err != nil {
		return fmt.Errorf("asking for transactional id %s: %w", id, err)
	}
	if err := addGroup(ctx, cl, id, got.ProducerID, got.ProducerEpoch, group); err != nil {
		return fmt.Errorf("beginning an empty transaction as %s: %w", id, err)
	}
	end := kmsg.NewPtrEndTxnRequest()
	end.TransactionalID, end.ProducerID, end.ProducerEpoch = id, got.ProducerID, got.ProducerEpoch
	ended, err := end.RequestWith(ctx, cl)
	if err == nil {
		err = kerr.ErrorForCode(ended.ErrorCode)
	}
	if err != nil {
		return fmt.Errorf("ending an empty transaction as %s: %w", id, err)
	}
	return nil
}
