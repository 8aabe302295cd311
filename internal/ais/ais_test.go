package ais

import (
	"strings"
	"testing"
)

// TestAVectorByHand is a position report whose bits were written out by hand from the table of message 1, and armoured by the
// table of IEC 61162-1.
func TestAVectorByHand(t *testing.T) {
	r := Report{Type: 1, MMSI: 219012345, Status: 7, Speed: 123, Lon: 7545678, Lat: -33000001, Course: 3599, Heading: 359, Second: 59}
	bits := "000001" + "00" + "001101000011011101110011111001" + "0111" + "10000000" + "0001111011" + "0" + "0000011100110010001101001110" +
		"110000010000111010110111111" + "111000001111" + "101100111" + "111011" + "000000" + strings.Repeat("0", 19)
	if got := r.bits(); got != bits {
		t.Errorf("got  %s\nwant %s", got, bits)
	}
	if p, fill := r.Payload(); fill != 0 || len(p) != 28 || !strings.HasPrefix(p, "13@oLv") {
		t.Errorf("the payload is %s, filled by %d", p, fill)
	}
}

func TestTheFeedIsLateRepeatedAndInParts(t *testing.T) {
	feed := Feed(1, 2000)
	var latest, mostBehind int64
	behind, parts, seen, copies := 0, 0, map[string]int{}, 0
	for _, h := range feed {
		if h.Received < latest {
			behind++
			mostBehind = max(mostBehind, latest-h.Received)
		}
		latest = max(latest, h.Received)
		if h.Payload == "" {
			parts++
			continue
		}
		if seen[h.Payload]++; seen[h.Payload] > 1 {
			copies++
		}
	}
	t.Logf("%d sentences of 2000 reports, %d copies, %d not the last of theirs, %d behind a later one, at most %d ms", len(feed), copies, parts, behind, mostBehind)
	if len(seen) < 1990 || copies < 1000 || parts < 300 || behind < len(feed)/2 || mostBehind < 7000 || mostBehind > 8100 {
		t.Error("it has too little to tell")
	}
}
