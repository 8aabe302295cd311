package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/streamproc/streamproc/internal/servers"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A coordinator has written down that a transaction is to commit, and the markers, when the only other replica of its log stops
// for longer than the transaction's timeout. The log then misses that the transaction is complete. Kafka adds it when something
// wakes the coordinator, or after 30 s.
func TestATransactionGoesOnThoughItsCoordinatorHasPutTheEndOfTheLastOneOff(t *testing.T) {
	const timeout = time.Second
	cluster := servers.NewKafka(t, servers.KafkaOptions{Brokers: 3, HeapMB: 300, Properties: map[string]string{
		"transaction.state.log.num.partitions": "1", "transaction.state.log.replication.factor": "2", "transaction.state.log.min.isr": "2"}})
	at := Cluster{Brokers: cluster.Brokers()}
	group := Group{Name: "g", TransactionalID: "id", SessionTimeout: timeout * 6 / 5}
	opts := append(at.options(slog.New(slog.DiscardHandler)), group.transactionalOptions()...)
	cl, err := kgo.NewClient(append(opts, kgo.DefaultProduceTopic("out"), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	one := "1"
	adm := kadm.NewClient(cl)
	if _, err := adm.CreateTopic(t.Context(), 3, 1, map[string]*string{"min.insync.replicas": &one}, "out"); err != nil {
		t.Fatal(err)
	}
	txn := newTransactions(cl, at, &group, slog.New(slog.DiscardHandler))
	t.Cleanup(txn.close)
	if <-txn.ready; txn.err != nil {
		t.Fatal(txn.err)
	}
	coordinator, replica, other, partition := cast(t, adm)
	write := func(f func(ctx context.Context) error) {
		t.Helper()
		if err := txn.begin(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		cl.Produce(ctx, &kgo.Record{Partition: partition, Value: []byte("v")}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Errorf("writing into the transaction: %v", err)
			}
		})
		if err := f(ctx); err != nil {
			t.Fatalf("coordinator %d, replica of its log %d, output on %d: %v", coordinator, replica, other, err)
		}
	}
	write(cl.Flush)

	const tries = 3 // on a machine that is busy the coordinator may be through before the nudge is
	for try := 1; ; try++ {
		cluster.Signal(other-1, syscall.SIGSTOP) // no marker can be written
		err = txn.end(t.Context())
		cluster.Signal(replica-1, syscall.SIGSTOP) // and then nothing into the coordinator's log
		cluster.Signal(other-1, syscall.SIGCONT)
		<-time.After(2 * timeout) // so long, for the coordinator to give up
		cluster.Signal(replica-1, syscall.SIGCONT)
		if err != nil {
			t.Fatal(err)
		}
		write(func(ctx context.Context) error { return txn.nudged(func() error { return cl.Flush(ctx) }) })
		over, seen := nudgesOver(t, adm, coordinator)
		if over {
			break
		}
		if try == tries {
			t.Fatalf("after %d tries no nudge is over: %v; this test does not show what it should", tries, seen)
		}
	}
	if err := txn.end(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// nudgesOver says whether an empty transaction was ended, and what became of each; all have to be at the coordinator.
func nudgesOver(t *testing.T, adm *kadm.Client, coordinator int) (over bool, seen []kadm.DescribedTransaction) {
	t.Helper()
	var ids []string
	for i := range nudgeTurns {
		ids = append(ids, fmt.Sprintf("id.nudge-%d", i))
	}
	d, err := adm.DescribeTransactions(t.Context(), ids...)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range d.Sorted() {
		if n.Err != nil {
			continue // it was not needed
		}
		seen = append(seen, n)
		if n.Coordinator != int32(coordinator) {
			t.Errorf("the nudge %+v is not at coordinator %d", n, coordinator)
		}
		over = over || strings.HasPrefix(n.State, "Complete")
	}
	return over, seen
}

// cast says which broker coordinates transactions, which has the only other copy of its log, which has neither, and which partition
// of the output that one has alone.
func cast(t *testing.T, adm *kadm.Client) (coordinator, replica, other int, partition int32) {
	t.Helper()
	topics, err := adm.ListTopicsWithInternal(t.Context(), "__transaction_state")
	if err != nil {
		t.Fatal(err)
	}
	p := topics["__transaction_state"].Partitions[0]
	coordinator = int(p.Leader)
	for _, r := range p.Replicas {
		if r != p.Leader {
			replica = int(r)
		}
	}
	other = 1 + 2 + 3 - coordinator - replica
	topics, err = adm.ListTopics(t.Context(), "out")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range topics["out"].Partitions {
		if o.Leader == int32(other) {
			return coordinator, replica, other, o.Partition
		}
	}
	t.Fatalf("no partition of %v is on broker %d", topics["out"].Partitions, other)
	return 0, 0, 0, 0
}
