package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A group that starts at the end has begun at all partitions at once: what comes into one that has been idle so far, while
// nobody runs, is not behind the end of its next owner. No state belongs to such a commit: that there is none is no loss, and
// what lies before it is no first copy.
func TestAnIdlePartitionIsReadFromWhereTheGroupBegan(t *testing.T) {
	for name, yaml := range map[string]string{
		"at_least_once": onceYAML,
		"exactly_once":  inTransactions,
		"consumer":      strings.Replace(onceYAML, "session_timeout: 6s", "group_protocol: consumer", 1),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			yaml = strings.Replace(yaml, "source: {", "source: { start: latest,", 1)
			file := r.write("latest.yaml", strings.Replace(yaml, "key: $.id", "key: $.id, on_state_loss: halt", 1))
			r.put(0, "old-0")
			r.put(1, "old-1")
			in := r.start("run", "-c", file)
			in.says("the group begins a topic at its end", time.Minute)
			r.stands(file, 1, "[0 1 1 1 0]")
			r.stands(file, 3, "[0 0 0 0 0]")
			r.put(0, "busy")
			r.read(r.out, 30*time.Second, func(rec *kgo.Record) bool { return onlyID(t, rec, "busy") })
			r.awaitFloor()
			in.kill()
			want := []string{"busy"}
			for p := range int32(4) {
				for _, id := range []string{fmt.Sprintf("old-%d", p), fmt.Sprintf("new-%d", p)} {
					r.put(p, id)
					want = append(want, id)
				}
			}
			in = r.start("run", "-c", file)
			left := slices.Clone(want)
			r.read(r.out, 90*time.Second, func(rec *kgo.Record) bool {
				i := slices.IndexFunc(left, func(id string) bool { return strings.Contains(string(rec.Value), `"`+id+`"`) })
				if i < 0 {
					t.Errorf("%s came out, and is not wanted, or not again", rec.Value)
					return false
				}
				left = slices.Delete(left, i, i+1)
				return len(left) == 0
			})
			in.drain()
			if !strings.Contains(in.stdout.String(), "in 8 = out 8 + filtered 0 + duplicates 0") {
				t.Errorf("ledger: %s", &in.stdout)
			}
		})
	}
}

func onlyID(t *testing.T, rec *kgo.Record, id string) bool {
	t.Helper()
	if !strings.Contains(string(rec.Value), `"`+id+`"`) {
		t.Errorf("%s came out, want %s alone", rec.Value, id)
	}
	return true
}

// stands wants the command offsets to say start, commit, head, end and lag of a partition.
func (r *rig) stands(file string, partition int, want string) {
	r.t.Helper()
	say := r.start("offsets", "once", "-c", file)
	if err := <-say.done; err != nil {
		r.t.Fatalf("offsets: %v\n%s", err, say.stderr)
	}
	for line := range strings.Lines(say.stdout.String()) {
		if f := strings.Fields(line); len(f) > 5 && strings.HasSuffix(f[0], fmt.Sprintf("/%d", partition)) {
			if got := fmt.Sprint(f[1:6]); got != want {
				r.t.Errorf("partition %d stands at %s, want %s", partition, got, want)
			}
			return
		}
	}
	r.t.Errorf("offsets does not name partition %d: %s", partition, &say.stdout)
}

// put writes one record into a partition of the input.
func (r *rig) put(partition int32, id string) {
	r.t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(r.kafka), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		r.t.Fatal(err)
	}
	defer cl.Close()
	rec := &kgo.Record{Topic: r.in, Partition: partition, Key: []byte("k"), Value: fmt.Appendf(nil, `{"id":"%s","amount":1}`, id)}
	if err := cl.ProduceSync(r.t.Context(), rec).FirstErr(); err != nil {
		r.t.Fatal(err)
	}
}

// awaitFloor waits until what was read of the first partition is committed.
func (r *rig) awaitFloor() {
	r.t.Helper()
	group, adm := strings.TrimSuffix(r.in, ".in"), kadm.NewClient(r.cl)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(30 * time.Second); ; {
		offsets, err := adm.FetchOffsets(kadm.RequireStable(r.t.Context()), group)
		if err != nil {
			r.t.Fatal(err)
		}
		if first, ok := offsets.Lookup(r.in, 0); ok && first.Err == nil && first.At == 2 {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			r.t.Fatalf("group %s has not committed what it has read", group)
		}
	}
}
