package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/streamproc/streamproc/internal/quakes"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestEarthquakesOnRealServers runs the pipeline of the repository, with its plugin, over a week of real reports. Some are
// repeated, most come late in event time, and the process is killed on the way. What has to come out is derived here from
// the reports alone.
func TestEarthquakesOnRealServers(t *testing.T) {
	r := newRig(t)
	topics := r.pipelineTopics("quakes", "alerts", "strong", "late")
	original, err := quakes.Records()
	if err != nil {
		t.Fatal(err)
	}
	feed, injected := quakes.InjectRepetition(original, 5, 50, 1)
	want := expectedQuakes(t, feed)
	t.Logf("%d reports, %d of them copies: %d alerts, %d strong, %d late", len(feed), len(injected.Copies), len(want["alerts"]), len(want["strong"]), len(want["late"]))
	if len(want["late"]) == 0 || len(want["strong"]) == 0 || len(injected.Copies) == 0 {
		t.Fatal("the feed has nothing late, strong or repeated to tell")
	}
	in := r.start("run", "-c", "../../pipelines.yaml")
	half := len(feed) / 2
	r.feed(quakeRecords(feed[:half]))
	r.read(topics["alerts"], time.Minute, func(*kgo.Record) bool { return true }) // it has begun
	in.kill()
	in = r.start("run", "-c", "../../pipelines.yaml")
	r.feed(quakeRecords(append(feed[half:], lastQuake(feed))))
	for sink, ids := range want {
		r.comesOut(sink, topics[sink], ids)
	}
	in.drain()
	if !strings.Contains(in.stdout.String(), "held 1 ") {
		t.Errorf("the last report waits for a later one, and the ledger says %s", &in.stdout)
	}
}

// pipelineTopics makes topics of one partition for a pipeline of the documents, and has it use them: those of its sinks, and
// its input, in. It commits often.
func (r *rig) pipelineTopics(pipeline string, sinks ...string) map[string]string {
	r.t.Helper()
	at := "pipelines." + pipeline
	topics := map[string]string{"in": r.in + "." + pipeline}
	set := []string{"admin.listen=127.0.0.1:0", at + ".commit_interval=100ms", at + ".source.session_timeout=6s",
		at + ".source.topics=[" + topics["in"] + "]", at + ".source.group=" + topics["in"], at + ".dlq={topic: " + r.dlq + "}"}
	names := []string{topics["in"]}
	for _, sink := range sinks {
		topics[sink] = r.out + "." + sink
		names = append(names, topics[sink])
		set = append(set, at+".sinks."+sink+".topic="+topics[sink])
	}
	rs, err := kadm.NewClient(r.cl).CreateTopics(r.t.Context(), 1, 1, nil, names...)
	if err == nil {
		err = rs.Error()
	}
	if err != nil {
		r.t.Fatal(err)
	}
	r.env = append(r.env, "STREAMPROC_SET="+strings.Join(set, "\n"))
	r.in = topics["in"]
	return topics
}

func quakeRecords(feed []quakes.Quake) []*kgo.Record {
	rs := make([]*kgo.Record, len(feed))
	for i, q := range feed {
		rs[i] = &kgo.Record{Key: []byte(q.ID), Value: q.Value}
	}
	return rs
}

const quakeWait = 24 * time.Hour // max_wait of pipelines.yaml

// lastQuake is a report later than all others by more than they wait, so that all of them go on.
func lastQuake(feed []quakes.Quake) quakes.Quake {
	var latest int64
	for _, q := range feed {
		latest = max(latest, q.Time)
	}
	at := latest + 2*quakeWait.Milliseconds()
	return quakes.Quake{ID: "last", Time: at, Value: fmt.Appendf(nil, `{"id":"last","properties":{"mag":3,"place":"","time":%d,"updated":%d}}`, at, at)}
}

// expectedQuakes says which ids have to come out where, in the order in which they have to: the first of each id that people
// feel, by event time, but those that come when one of a day later has already been.
func expectedQuakes(t *testing.T, feed []quakes.Quake) map[string][]string {
	t.Helper()
	want, seen := map[string][]string{}, map[string]bool{}
	type shake struct {
		id   string
		time int64
		mag  float64
	}
	var inTime []shake
	var latest int64
	for _, q := range feed {
		var f struct{ Properties struct{ Mag *float64 } }
		if err := json.Unmarshal(q.Value, &f); err != nil {
			t.Fatal(err)
		}
		if seen[q.ID] || f.Properties.Mag == nil || *f.Properties.Mag < 2.5 {
			seen[q.ID] = true
			continue
		}
		seen[q.ID] = true
		if q.Time <= latest-quakeWait.Milliseconds() {
			want["late"] = append(want["late"], q.ID)
			continue
		}
		latest = max(latest, q.Time)
		at := len(inTime)
		for at > 0 && inTime[at-1].time > q.Time {
			at--
		}
		inTime = append(inTime[:at], append([]shake{{q.ID, q.Time, *f.Properties.Mag}}, inTime[at:]...)...)
	}
	for _, s := range inTime {
		sink := "alerts"
		if s.mag >= 5 {
			sink = "strong"
		}
		want[sink] = append(want[sink], s.id)
	}
	return want
}

// comesOut reads a topic until it has all ids, and wants the first appearances in their order: what a killed process had
// not committed may come again.
func (r *rig) comesOut(sink, topic string, want []string) {
	r.t.Helper()
	var got []string
	seen := map[string]bool{}
	r.read(topic, 2*time.Minute, func(rec *kgo.Record) bool {
		var alert struct {
			ID       string
			Severity string
		}
		if err := json.Unmarshal(rec.Value, &alert); err != nil || alert.Severity == "" || string(rec.Key) != alert.ID {
			r.t.Errorf("%s holds %s: %s, which is no alert under its id", sink, rec.Key, rec.Value)
		}
		if !seen[alert.ID] {
			seen[alert.ID] = true
			got = append(got, alert.ID)
		}
		return len(got) >= len(want)
	})
	for i := range want {
		if got[i] != want[i] {
			r.t.Errorf("%s: number %d is %s, want %s", sink, i, got[i], want[i])
			return
		}
	}
}
