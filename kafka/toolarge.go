package kafka

import (
	"errors"
	"fmt"
	"time"

	"github.com/streamproc/streamproc/stream"
	"github.com/twmb/franz-go/pkg/kgo"
)

// end is how far one fetch of a partition goes.
type end struct {
	first, next int64 // the first offset, and that behind the last; next is 0 if nothing came
	epoch       int32
	large       *kgo.ErrDecompressTooLarge // the batch that the client has stopped at, until it is told to go on
}

// endOf looks at records and error of a fetch. A batch that is too large when it is decompressed is no error of ours: whoever may write to
// the topic can make one, and it must not stop the partition. The client tells of it with each part of the fetch before it,
// so what came is taken, and what is behind is asked for again, until the batch is the first; then it is stepped over.
func endOf(fp *kgo.FetchPartition) (e end) {
	errors.As(fp.Err, &e.large)
	if n := len(fp.Records); n > 0 {
		last := fp.Records[n-1]
		e.first, e.next, e.epoch = fp.Records[0].Offset, last.Offset+1, last.LeaderEpoch
	} else if e.large != nil {
		e.first, e.next, e.epoch = e.large.Offset, e.large.NextOffset, e.large.Epoch
	}
	return e
}

// fail appends the one record that stands for the whole batch that cannot be read, at its first offset, or where reading began
// within it. It has failed already, and goes to the dead letters by reference.
func (e *end) fail(b *stream.Batch, p stream.Partition, from int64) {
	from = max(from, e.first)
	b.Records = append(b.Records, stream.Record{Timestamp: time.Now().UnixMilli(), Origin: stream.Coordinate{Partition: p, LeaderEpoch: e.epoch, Offset: from}})
	b.Fail(len(b.Records)-1, &stream.Cause{Step: "source", Reason: stream.ReasonLimit, Message: fmt.Sprintf(
		"the batch of offsets %d to %d is over %d bytes when it is decompressed: none of it is read", from, e.next-1, maxBatchBytes)})
}

// goOn has the client read on behind the fetch. The client takes it only where it has an offset already, from the group or from records, and
// only if it is another one than that: so it is without an epoch.
func (e *end) goOn(cl *kgo.Client, p stream.Partition) {
	cl.SetOffsets(map[string]map[int32]kgo.EpochOffset{p.Topic: {p.ID: {Epoch: -1, Offset: e.next}}})
}
