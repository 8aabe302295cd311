package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A topic is deleted and made anew under its name while the pipeline runs: it is another topic, read from its beginning,
// and an id of the old one is no copy there.
func TestATopicMadeAnewIsReadFromItsBeginning(t *testing.T) {
	r := newRig(t)
	in := r.start("run", "-c", r.write("once.yaml", onceYAML))
	feed := func() {
		var rs []*kgo.Record
		for i := range 500 {
			rs = append(rs, &kgo.Record{Key: fmt.Appendf(nil, "k%d", i%50), Value: fmt.Appendf(nil, `{"id":"%d","amount":1}`, i)})
		}
		r.feed(rs)
	}
	count := func(want int) {
		t.Helper()
		n := 0
		r.read(r.out, 90*time.Second, func(*kgo.Record) bool { n++; return n == want })
	}
	feed()
	count(500)
	r.remake(r.in)
	feed()
	count(1000)
	in.drain()
}

// remake deletes a topic and makes it anew under the same name.
func (r *rig) remake(topic string) {
	r.t.Helper()
	admin := kadm.NewClient(r.cl)
	gone, err := admin.DeleteTopics(r.t.Context(), topic)
	if err == nil {
		err = gone.Error()
	}
	if err != nil {
		r.t.Fatal(err)
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(30 * time.Second); ; {
		stamp := "LogAppendTime"
		if _, err = admin.CreateTopic(r.t.Context(), 4, 1, map[string]*string{"message.timestamp.type": &stamp}, topic); err == nil {
			break
		}
		select {
		case <-tick.C:
		case <-end:
			r.t.Fatalf("making topic %s anew: %v", topic, err)
		}
	}
	r.cl.PurgeTopicsFromClient(topic)
}
