package kafka

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/streamproc/streamproc/stream"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// recordBatch is a batch of two records as a log holds it, with what is to be odd about it.
func recordBatch(first int64, odd func(*kmsg.RecordBatch)) []byte {
	b := kmsg.RecordBatch{FirstOffset: first, Magic: 2, LastOffsetDelta: 1, ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1, NumRecords: 2,
		FirstTimestamp: 1000, MaxTimestamp: 1000}
	for i := range int64(2) {
		r := kmsg.Record{OffsetDelta: int32(i), Value: fmt.Append(nil, first+i)}
		r.Length = int32(len(r.AppendTo(nil)) - 1)
		b.Records = r.AppendTo(b.Records)
	}
	if odd != nil {
		odd(&b)
	}
	raw := b.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[8:], uint32(len(raw)-12))
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	return raw
}

// serve answers each fetch with the batches of a partition from its offset on, as they are by then. At their ends the cluster
// waits for more: it has to hold as many records.
func (r *rig) serve(logs func(partition int32) [][]byte) {
	r.ControlKey(int16(kmsg.Fetch), func(q kmsg.Request) (kmsg.Response, error, bool) {
		r.KeepControl()
		asked := q.(*kmsg.FetchRequest)
		resp := asked.ResponseKind().(*kmsg.FetchResponse)
		some := false
		for _, topic := range asked.Topics {
			t := kmsg.NewFetchResponseTopic()
			t.Topic, t.TopicID = topic.Topic, topic.TopicID
			for _, of := range topic.Partitions {
				p := kmsg.NewFetchResponseTopicPartition()
				batches := logs(of.Partition)
				end := int64(2 * len(batches))
				p.Partition, p.HighWatermark, p.LastStableOffset = of.Partition, end, end
				for i, batch := range batches {
					if of.FetchOffset < int64(2*i+2) {
						p.RecordBatches, some = append(p.RecordBatches, batch...), true
					}
				}
				t.Partitions = append(t.Partitions, p)
			}
			resp.Topics = append(resp.Topics, t)
		}
		return resp, nil, some
	})
}

// bomb is a batch of two offsets, of which nobody can say more, since it is too large when it is decompressed.
func bomb(first int64) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	for range maxBatchBytes/1_000_000 + 1 {
		_, _ = z.Write(make([]byte, 1_000_000))
	}
	_ = z.Close()
	return recordBatch(first, func(batch *kmsg.RecordBatch) { batch.Attributes, batch.Records = 1, b.Bytes() })
}

// readThrough reads both partitions up to the offset end, commits after each poll, and dials again where a membership ends by itself.
func (r *rig) readThrough(t *testing.T, client *Client, end int64) (last *Client, rs []stream.Record, marks map[stream.Partition]int64, dials int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	dials, marks = 1, map[stream.Partition]int64{}
	for ctx.Err() == nil && (marks[stream.Partition{Topic: "in"}] < end || marks[stream.Partition{Topic: "in", ID: 1}] < end) {
		var b stream.Batch
		px, stop := context.WithTimeout(ctx, 100*time.Millisecond) // as a worker does
		err := client.Poll(px, &b)
		if stop(); err != nil {
			if dials++; !strings.Contains(err.Error(), "goes on behind it in another membership") {
				t.Fatal(err)
			}
			client.Close()
			client = r.dial(t)
		}
		if dead := slices.ContainsFunc(b.Records, func(r stream.Record) bool { return r.Fate == stream.DeadLettered }); dead != b.Settled {
			t.Error("the worker does not see that a record has failed")
		}
		rs = append(rs, b.Records...)
		var done []stream.Mark
		for _, s := range b.Spans {
			marks[s.Partition] = s.To
			done = append(done, stream.Mark{Partition: s.Partition, Commit: stream.Commit{Floor: s.To, Head: s.To}})
		}
		if err := client.Commit(ctx, done); err != nil {
			t.Fatal(err)
		}
	}
	return client, rs, marks, dials
}

// TestABatchThatIsTooLargeIsOneDeadLetter has such batches at the beginning, between others and one behind the other, reads them in polls
// of one record and of all, from the beginning and from within one, and once more as history.
func TestABatchThatIsTooLargeIsOneDeadLetter(t *testing.T) {
	log := [][]byte{bomb(0), recordBatch(2, nil), bomb(4), bomb(6), recordBatch(8, nil)}
	want := []string{"0!", "2=2", "3=3", "4!", "6!", "8=8", "9=9"}
	text := func(r *stream.Record) string {
		if r.Fate == stream.DeadLettered {
			if why := r.Cause.Message; r.Cause.Reason != stream.ReasonLimit || !strings.Contains(why, "over 134217728 bytes when it is decompressed") {
				t.Errorf("the cause is %+v", r.Cause)
			}
			return fmt.Sprint(r.Origin.Offset, "!")
		}
		return fmt.Sprint(r.Origin.Offset, "=", string(r.Value))
	}
	for _, c := range []struct {
		poll  int
		floor int64
		dials int
		want  []string
	}{{100, 0, 2, want}, {1, 0, 2, want}, {1, 5, 1, append([]string{"5!"}, want[4:]...)}} {
		t.Run(fmt.Sprintf("%d a poll, from %d", c.poll, c.floor), func(t *testing.T) {
			r := newRig(t)
			r.feed(t, 0, 20)
			r.group.PollRecords = c.poll
			r.serve(func(p int32) [][]byte {
				if p == 0 {
					return log
				}
				return [][]byte{recordBatch(0, nil), recordBatch(2, nil), recordBatch(4, nil), recordBatch(6, nil), recordBatch(8, nil)}
			})
			in, other := stream.Partition{Topic: "in"}, stream.Partition{Topic: "in", ID: 1}
			client := r.dial(t)
			if c.floor > 0 {
				poll(t, client, 2)
				if err := client.Commit(t.Context(), []stream.Mark{{Partition: in, Commit: stream.Commit{Floor: c.floor, Head: c.floor}}}); err != nil {
					t.Fatal(err)
				}
				client.Close()
				client = r.dial(t)
			}
			client, rs, marks, dials := r.readThrough(t, client, 10)
			got := map[stream.Partition][]string{}
			for i := range rs {
				p := rs[i].Origin.Partition
				got[p] = append(got[p], text(&rs[i]))
			}
			if !slices.Equal(got[in], c.want) || marks[in] != 10 || len(got[other]) != 10 || dials != c.dials {
				t.Errorf("polled %q up to %v by %d clients, want %q by %d", got, marks, dials, c.want, c.dials)
			}
			var again []string
			for _, cut := range [][2]int64{{0, 5}, {5, 10}} { // the second of them begins within a batch
				if _, err := client.Replay(t.Context(), in, cut[0], cut[1], func(b *stream.Batch) error {
					for i := range b.Records {
						again = append(again, text(&b.Records[i]))
					}
					return nil
				}); err != nil {
					t.Fatal(err)
				}
			}
			if want := []string{"0!", "2=2", "3=3", "4!", "5!", "6!", "8=8", "9=9"}; !slices.Equal(again, want) {
				t.Errorf("as history it is %q, want %q", again, want)
			}
		})
	}
}

// TestABatchThatCannotBeReadIsSaidAndNeverSkipped has a log that is damaged, or was on its way, and is mended then. What cannot be
// read is neither taken for records nor passed over.
func TestABatchThatCannotBeReadIsSaidAndNeverSkipped(t *testing.T) {
	flipped := recordBatch(2, nil)
	flipped[len(flipped)-2] ^= 1
	magic := recordBatch(2, nil)
	magic[16] = 9
	for name, c := range map[string]struct {
		batch []byte
		why   string // "": it may be on its way yet
	}{
		"a wrong CRC":         {flipped, "crc"},
		"an unknown codec":    {recordBatch(2, func(b *kmsg.RecordBatch) { b.Attributes = 7 }), "compression codec"},
		"no gzip":             {recordBatch(2, func(b *kmsg.RecordBatch) { b.Attributes = 1 }), "gzip"},
		"an unknown format":   {magic, "unknown magic 9"},
		"records of no bytes": {recordBatch(2, func(b *kmsg.RecordBatch) { b.Records = nil }), "no record bytes"},
		"a length below 0":    {recordBatch(2, func(b *kmsg.RecordBatch) { b.NumRecords = -1 }), "negative record count"},
		"a half":              {recordBatch(2, nil)[:70], ""},
		"a header":            {recordBatch(2, nil)[:16], ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.feed(t, 0, 8)
			var mended atomic.Bool
			r.serve(func(p int32) [][]byte {
				if p == 1 || mended.Load() {
					return [][]byte{recordBatch(0, nil), recordBatch(2, nil)}
				}
				return [][]byte{recordBatch(0, nil), c.batch}
			})
			c1 := r.dial(t)
			got := map[int32][]string{}
			take := func(b *stream.Batch) {
				for i := range b.Records {
					at := b.Records[i].Origin
					got[at.ID] = append(got[at.ID], fmt.Sprint(at.Offset, "=", string(b.Records[i].Value)))
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			var err error
			for err == nil && ctx.Err() == nil && (c.why != "" || len(got[0])+len(got[1]) < 6) {
				var b stream.Batch
				err = c1.Poll(ctx, &b)
				take(&b)
			}
			if c.why == "" && err != nil || c.why != "" && (err == nil || !strings.Contains(err.Error(), "fetching in/0: ") || !strings.Contains(err.Error(), "a batch cannot be read") || !strings.Contains(err.Error(), c.why)) {
				t.Fatalf("polling ended with %v, want %q of in/0", err, c.why)
			}
			if n := len(got[0]); n > 2 {
				t.Fatalf("of what cannot be read came %q", got[0])
			}
			mended.Store(true)
			if c.why != "" {
				c1.Close()
				c1, got = r.dial(t), map[int32][]string{}
			}
			for ctx.Err() == nil && len(got[0])+len(got[1]) < 8 {
				var b stream.Batch
				if err := c1.Poll(ctx, &b); err != nil {
					t.Fatal(err)
				}
				take(&b)
			}
			for p, values := range got {
				if want := []string{"0=0", "1=1", "2=2", "3=3"}; !slices.Equal(values, want) {
					t.Errorf("of partition %d came %q, want %q", p, values, want)
				}
			}
		})
	}
}

// TestOnlyWhatIsCommittedIsRead has transactions of all ends in a topic, with their markers, and reads it as it comes and again.
func TestOnlyWhatIsCommittedIsRead(t *testing.T) {
	r := newRig(t)
	feeder := func(opts ...kgo.Opt) *kgo.Client {
		cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(r.cluster.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DefaultProduceTopic("in"))...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cl.Close)
		return cl
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	write := func(cl *kgo.Client, values ...string) {
		t.Helper()
		for _, v := range values {
			must(cl.ProduceSync(t.Context(), &kgo.Record{Value: []byte(v)}).FirstErr())
		}
	}
	plain, one, other := feeder(), feeder(kgo.TransactionalID("one")), feeder(kgo.TransactionalID("other"))
	for _, end := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort, kgo.TryCommit} {
		must(one.BeginTransaction())
		must(other.BeginTransaction())
		write(one, fmt.Sprintf("one %v", end), fmt.Sprintf("one %v too", end))
		write(other, fmt.Sprintf("other %v", !end))
		write(plain, "plain")
		must(other.EndTransaction(t.Context(), !end))
		must(one.EndTransaction(t.Context(), end))
	}
	must(one.BeginTransaction())
	write(one, "open")
	write(plain, "behind what is open")
	want := []string{"one true", "one true too", "plain", "other true", "plain", "one true", "one true too", "plain"}
	values := func(rs []stream.Record) (list []string) {
		for i := range rs {
			list = append(list, string(rs[i].Value))
		}
		return list
	}
	c := r.dial(t)
	rs, marks := poll(t, c, len(want))
	if got := values(rs); !slices.Equal(got, want) {
		t.Errorf("read %q, want %q", got, want)
	}
	must(one.EndTransaction(t.Context(), kgo.TryCommit))
	rs, more := poll(t, c, 2)
	if got := values(rs); !slices.Equal(got, []string{"open", "behind what is open"}) {
		t.Errorf("after the end of what was open came %q", got)
	}
	p := stream.Partition{Topic: "in"}
	if marks[p] != 18 || more[p] != 21 { // each round of three has four records and two markers
		t.Errorf("polled up to %d, and then to %d", marks[p], more[p])
	}
	var again []string
	if _, err := c.Replay(t.Context(), p, 0, more[p], func(b *stream.Batch) error {
		again = append(again, values(b.Records)...)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(again, append(want, "open", "behind what is open")) {
		t.Errorf("read again: %q", again)
	}
}
