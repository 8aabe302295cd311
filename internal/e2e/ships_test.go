package e2e

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/streamproc/streamproc/internal/ais"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const shipsWait = 10_000 // max_wait of the guide, in milliseconds

// TestShipsOfSeveralStationsOnRealServers runs the pipeline of the guide over what stations hear, with a kill between two
// sentences of a message. What has to come out is told from the sentences alone, without a look into what they say. Where there
// is real data, it is judged in the same way.
func TestShipsOfSeveralStationsOnRealServers(t *testing.T) {
	feeds := map[string][]ais.Heard{"generated": ais.Feed(7, 3000)}
	if dir := os.Getenv("STREAMPROC_TESTDATA"); dir != "" {
		feeds["real"] = realStations(t, filepath.Join(dir, "dma-aislib-stream_example.txt.gz"))
	}
	for name, feed := range feeds {
		t.Run(name, func(t *testing.T) { ships(t, feed) })
	}
}

func ships(t *testing.T, feed []ais.Heard) {
	r := newRig(t)
	topics := r.pipelineTopics("ships", "ships", "late")
	config := r.guide("ais.md")
	want := wantedShips(feed)
	t.Logf("%d sentences: %d wait for others, %d are copies or of other kinds, %d behind one that was heard later, at most %d ms: %d ships, %d late", len(feed),
		want.waiting, len(feed)-want.waiting-len(want.ships)-len(want.late), want.behind, want.mostBehind, len(want.ships), len(want.late))
	if want.waiting == 0 || want.behind == 0 || len(want.ships) == 0 {
		t.Fatal("the feed has nothing in parts or out of order to tell")
	}
	half := len(feed) / 2
	for feed[half-1].Payload != "" {
		half++
	}
	in := r.start("run", "-c", config)
	r.feed(shipRecords(feed[:half]))
	r.read(topics["ships"], time.Minute, func(*kgo.Record) bool { return true }) // it has begun
	in.kill()
	in = r.start("run", "-c", config)
	r.feed(shipRecords(append(slices.Clone(feed[half:]), lastShip(feed))))
	r.shipsComeOut(topics["ships"], want.ships)
	r.shipsComeOut(topics["late"], want.late)
	in.drain()
	if ledger := in.stdout.String(); !strings.Contains(ledger, "held 1 ") || !strings.Contains(ledger, "dead-lettered 0 ") {
		t.Errorf("the last report waits for a later one, and the ledger says %s", ledger)
	}
}

// TestAMessageBegunBeforeAKillIsWhole commits the first sentence of a message before the process is killed.
func TestAMessageBegunBeforeAKillIsWhole(t *testing.T) {
	r := newRig(t)
	topics := r.pipelineTopics("ships", "ships", "late")
	config := r.write("decode.yaml", strings.NewReplacer("\n      - name: once", "\n    #", "\n        dedup:", "\n    #", "\n      - name: in-time", "\n    #",
		"\n        reorder:", "\n    #", "\n      late:", "\n    #").Replace(file(t, r.guide("ais.md"))))
	r.env = append(r.env, "STREAMPROC_SET="+strings.Replace(strings.TrimPrefix(r.env[len(r.env)-1], "STREAMPROC_SET="), "\npipelines.ships.sinks.late.topic="+topics["late"], "", 1))
	var message []ais.Heard
	for _, h := range ais.Feed(3, 100) {
		if h.Payload != "" && h.Report.Type == 5 {
			for i, s := range h.Report.Sentences(3, "A") {
				message = append(message, ais.Heard{Station: "s", Line: ais.Tagged("s", ais.First, s), Arrival: ais.First + int64(i)})
			}
			message[len(message)-1].Payload = h.Payload
			break
		}
	}
	in := r.start("run", "-c", config)
	r.feed(shipRecords(message[:1]))
	r.commits(topics["in"], 1)
	in.kill()
	in = r.start("run", "-c", config)
	r.feed(shipRecords(message[1:]))
	r.shipsComeOut(topics["ships"], []string{message[1].Payload})
	in.drain()
}

// commits waits until a group of the name of its topic has committed an offset.
func (r *rig) commits(topic string, offset int64) {
	r.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(30 * time.Second); ; {
		if rs, err := kadm.NewClient(r.cl).FetchOffsets(r.t.Context(), topic); err != nil {
			r.t.Fatal(err)
		} else if at, ok := rs.Lookup(topic, 0); ok && at.At >= offset {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			r.t.Fatalf("offset %d was not committed", offset)
		}
	}
}

// guide writes the first configuration of a guide into a file, with the plugins where they are.
func (r *rig) guide(name string) string {
	r.t.Helper()
	text := file(r.t, filepath.Join("../../docs/guides", name))
	_, text, _ = strings.Cut(text, "```yaml\n")
	text, _, _ = strings.Cut(text, "```")
	plugins, err := filepath.Abs("../../plugins")
	if err != nil {
		r.t.Fatal(err)
	}
	return r.write("guide.yaml", strings.ReplaceAll(text, "wasm: plugins/", "wasm: "+plugins+"/"))
}

func file(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func shipRecords(feed []ais.Heard) []*kgo.Record {
	rs := make([]*kgo.Record, len(feed))
	for i, h := range feed {
		rs[i] = &kgo.Record{Key: []byte(h.Station), Value: []byte(h.Line), Timestamp: time.UnixMilli(h.Arrival)}
	}
	return rs
}

// lastShip is a report later than all others by more than they wait, so that all of them go on.
func lastShip(feed []ais.Heard) ais.Heard {
	var latest int64
	for _, h := range feed {
		latest = max(latest, h.Received, h.Arrival)
	}
	latest += 2 * shipsWait
	report := ais.Report{Type: 1, MMSI: 1}
	return ais.Heard{Station: "s", Arrival: latest, Line: ais.Tagged("s", latest, report.Sentences(0, "A")[0])}
}

// wanted is what has to come of a feed, by payload, in order.
type wanted struct {
	ships, late []string
	waiting     int // sentences that are not the last of their message
	behind      int // sentences heard before one that had arrived
	mostBehind  int64
}

func wantedShips(feed []ais.Heard) (w wanted) {
	seen := map[string]bool{}
	var inTime []ais.Heard
	var heard, latest int64
	for _, h := range feed {
		if h.Received < heard {
			w.behind++
			w.mostBehind = max(w.mostBehind, heard-h.Received)
		}
		heard = max(heard, h.Received)
		if h.Payload == "" {
			w.waiting++
			continue
		}
		if seen[h.Payload] || !strings.Contains("1235BH", h.Payload[:1]) {
			continue
		}
		seen[h.Payload] = true
		if h.Received <= latest-shipsWait {
			w.late = append(w.late, h.Payload)
			continue
		}
		latest = max(latest, h.Received)
		at := len(inTime)
		for at > 0 && inTime[at-1].Received > h.Received {
			at--
		}
		inTime = slices.Insert(inTime, at, h)
	}
	for _, h := range inTime {
		w.ships = append(w.ships, h.Payload)
	}
	return w
}

// shipsComeOut reads a topic until it has all messages, and wants the first appearances in their order.
func (r *rig) shipsComeOut(topic string, want []string) {
	r.t.Helper()
	if len(want) == 0 {
		return
	}
	var got []string
	seen := map[string]bool{}
	r.read(topic, 2*time.Minute, func(rec *kgo.Record) bool {
		var m struct{ MMSI, Payload string }
		if err := json.Unmarshal(rec.Value, &m); err != nil || string(rec.Key) != m.MMSI {
			r.t.Errorf("%s holds %s: %s, which is no report under its number", topic, rec.Key, rec.Value)
		}
		if !seen[m.Payload] {
			seen[m.Payload] = true
			got = append(got, m.Payload)
		}
		return len(got) >= len(want)
	})
	for i := range want {
		if got[i] != want[i] {
			r.t.Errorf("%s: number %d is %s, want %s", topic, i, got[i], want[i])
			return
		}
	}
}

var pghp = regexp.MustCompile(`^\$PGHP,1,(\d+),(\d+),(\d+),(\d+),(\d+),(\d+),(\d+),(\d*),(\d*),(\d*),`)

// realStations reads a stream in which a $PGHP says who heard the message that follows, and when.
func realStations(t *testing.T, name string) (feed []ais.Heard) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var head ais.Heard
	begun := map[string]string{} // payload by station, sequence and channel
	for lines := bufio.NewScanner(z); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if p := pghp.FindStringSubmatch(line); p != nil {
			var at [7]int
			if _, err := fmt.Sscan(strings.Join(p[1:8], " "), &at[0], &at[1], &at[2], &at[3], &at[4], &at[5], &at[6]); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			head.Received = time.Date(at[0], time.Month(at[1]), at[2], at[3], at[4], at[5], at[6]*1e6, time.UTC).UnixMilli()
			head.Station, head.Arrival = strings.Join(p[8:], "-"), max(head.Arrival, head.Received)
			continue
		}
		h := head
		h.Line = ais.Tagged(h.Station, h.Received, line)
		p := strings.Split(line, ",")
		if len(p) < 7 {
			t.Fatalf("%q is neither a sentence nor says who heard one", line)
		}
		of := strings.Join([]string{h.Station, p[0], p[1], p[3], p[4]}, ",")
		if begun[of] += p[5]; p[1] == p[2] {
			h.Payload = begun[of]
			delete(begun, of)
		}
		feed = append(feed, h)
	}
	return feed
}
