package plugins_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/streamproc/streamproc/internal/ais"
)

const aisModule = "examples/ais/ais.wasm"

// said is what the plugin makes of a report.
type said struct {
	Type                             int
	MMSI, Station, Payload           string
	Received                         int64
	Status                           *int
	Speed, Lon, Lat, Course, Draught *float64
	Heading, Second                  *int
	IMO, Bow, Stern, Port, Starboard int
	ShipType                         int `json:"ship_type"`
	Callsign, Name, Destination      string
}

// TestWhatShipsSayIsDecodedExactly writes reports of every type at random, and wants each field back as it was.
func TestWhatShipsSayIsDecodedExactly(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	var reports []ais.Report
	var in strings.Builder
	for i := range 6000 {
		r := ais.Random(rnd, ais.Types[i%len(ais.Types)])
		for _, s := range r.Sentences(i, "B") {
			fmt.Fprintln(&in, ais.Tagged("here", int64(ais.First+i), s))
		}
		reports = append(reports, r)
	}
	lines := strings.Split(strings.TrimSpace(runWith(t, aisModule, nil, []byte(in.String()))), "\n")
	if len(lines) != len(reports) {
		t.Fatalf("%d reports came out of %d", len(lines), len(reports))
	}
	for i, line := range lines {
		var out struct {
			Key   string
			Value said
		}
		if err := json.Unmarshal([]byte(line), &out); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if out.Key != out.Value.MMSI || out.Value.Station != "here" {
			t.Errorf("%s has key %q", line, out.Key)
		}
		if got, want := understood(&out.Value), expected(&reports[i], i); got != want {
			t.Errorf("report %d\ngot  %+v\nwant %+v\nfrom %s", i, got, want, line)
		}
	}
}

// expected is a report as it should come back: what its type does not say is not known.
func expected(r *ais.Report, i int) ais.Report {
	w := *r
	w.Radio, w.Month, w.Day, w.Hour, w.Minute, w.Part = ais.First+i, 0, 0, 0, 0, 0 // Radio stands for the time
	w.Second = min(w.Second, 60)
	return w
}

// understood is what the plugin made, in the units of the radio again.
func understood(s *said) ais.Report {
	r := ais.Report{Type: s.Type, Radio: int(s.Received), IMO: s.IMO, Callsign: s.Callsign, Name: s.Name, Destination: s.Destination, ShipType: s.ShipType,
		Bow: s.Bow, Stern: s.Stern, Port: s.Port, Starboard: s.Starboard}
	_, _ = fmt.Sscanf(s.MMSI, "%09d", &r.MMSI)
	r.Draught = units(s.Draught, 10, 0)
	if s.Type == 5 || s.Type == 24 {
		return r
	}
	r.Speed, r.Course = units(s.Speed, 10, ais.UnknownSpeed), units(s.Course, 10, ais.UnknownCourse)
	r.Lon, r.Lat = units(s.Lon, 600_000, ais.UnknownLon), units(s.Lat, 600_000, ais.UnknownLat)
	r.Heading, r.Second = or(s.Heading, ais.UnknownHeading), or(s.Second, 60)
	if s.Type != 18 {
		r.Status = or(s.Status, 15)
	}
	return r
}

func units(v *float64, each float64, unknown int) int {
	if v == nil {
		return unknown
	}
	return int(math.Round(*v * each))
}

func or(v *int, unknown int) int {
	if v == nil {
		return unknown
	}
	return *v
}
