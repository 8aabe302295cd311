// Package ais writes what ships say over the radio and coastal stations hear, for tests: reports by the tables of ITU-R
// M.1371-5, annex 8, as sentences of IEC 61162-1, and a stream of them as several stations would send it. It knows nothing of
// how they are read.
package ais

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Types are the messages that can be written.
var Types = []int{1, 2, 3, 5, 18, 24}

// Report is what a ship says, in the units of the radio. Fields that its type does not have are 0.
type Report struct {
	Type, MMSI int
	Part       int // of type 24: 0 is part A, 1 is part B

	Status  int // of types 1 to 3
	Speed   int // tenths of a knot; 1023 is unknown
	Lon     int // ten-thousandths of a minute; 181° is unknown
	Lat     int // the same; 91° is unknown
	Course  int // tenths of a degree; 3600 is unknown
	Heading int // degrees; 511 is unknown
	Second  int // 60 and more is unknown
	Radio   int // state of the radio, 19 bits

	IMO                         int // 0 is unknown, as in all below
	Callsign, Name, Destination string
	ShipType                    int
	Bow, Stern, Port, Starboard int // metres from the antenna
	Draught                     int // tenths of a metre
	Month, Day, Hour, Minute    int // expected arrival
}

// What is said where nothing is known.
const (
	UnknownSpeed   = 1023
	UnknownLon     = 181 * 600_000
	UnknownLat     = 91 * 600_000
	UnknownCourse  = 3600
	UnknownHeading = 511
)

// Random is some report of a type, now and then with fields that are not known.
func Random(rnd *rand.Rand, kind int) Report {
	or := func(unknown, n int) int {
		if rnd.IntN(10) == 0 {
			return unknown
		}
		return n
	}
	r := Report{Type: kind, MMSI: rnd.IntN(1_000_000_000)}
	switch kind {
	case 1, 2, 3, 18:
		r.Status, r.Speed, r.Course, r.Heading = rnd.IntN(16), or(UnknownSpeed, rnd.IntN(1023)), or(UnknownCourse, rnd.IntN(3600)), or(UnknownHeading, rnd.IntN(360))
		r.Lon, r.Lat = or(UnknownLon, rnd.IntN(2*180*600_000+1)-180*600_000), or(UnknownLat, rnd.IntN(2*90*600_000+1)-90*600_000)
		r.Second, r.Radio = rnd.IntN(64), rnd.IntN(1<<19)
		if kind == 18 {
			r.Status = 0
		}
	case 5:
		r.IMO, r.Callsign, r.Name, r.Destination = or(0, rnd.IntN(1<<30)), text(rnd, 7), text(rnd, 20), text(rnd, 20)
		r.ShipType, r.Draught = rnd.IntN(256), rnd.IntN(256)
		r.Month, r.Day, r.Hour, r.Minute = rnd.IntN(13), rnd.IntN(32), rnd.IntN(25), rnd.IntN(61)
		r.Bow, r.Stern, r.Port, r.Starboard = rnd.IntN(512), rnd.IntN(512), rnd.IntN(64), rnd.IntN(64)
	case 24:
		if r.Part = rnd.IntN(2); r.Part == 0 {
			r.Name = text(rnd, 20)
			break
		}
		r.ShipType, r.Callsign = rnd.IntN(256), text(rnd, 7)
		r.Bow, r.Stern, r.Port, r.Starboard = rnd.IntN(512), rnd.IntN(512), rnd.IntN(64), rnd.IntN(64)
	}
	return r
}

// text is at most n characters of those that can be said, and does not end in a space.
func text(rnd *rand.Rand, n int) string {
	const sayable = "ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_ !\"#$%&'()*+,-./0123456789:;<=>?"
	b := make([]byte, rnd.IntN(n+1))
	for i := range b {
		b[i] = sayable[rnd.IntN(len(sayable))]
	}
	return strings.TrimRight(string(b), " ")
}

// message is bits in the making.
type message struct{ strings.Builder }

func (m *message) put(v, width int) { m.WriteString(fmt.Sprintf("%0*b", width, v&(1<<width-1))) }

// say puts six-bit text: @ stands for nothing, and fills what is left.
func (m *message) say(s string, n int) {
	for _, c := range s + strings.Repeat("@", n-len(s)) {
		m.put(int(c), 6) // the lower six bits of ASCII are those of the table
	}
}

// bits are those of the report's message.
func (r *Report) bits() string {
	var m message
	m.put(r.Type, 6)
	m.put(0, 2) // repeated so often
	m.put(r.MMSI, 30)
	switch r.Type {
	case 1, 2, 3:
		m.put(r.Status, 4)
		m.put(-128, 8) // rate of turn
		r.position(&m)
		m.put(0, 6) // manoeuvre, spare, RAIM
		m.put(r.Radio, 19)
	case 18:
		m.put(0, 8) // reserved
		r.position(&m)
		m.put(0, 10) // reserved, flags
		m.put(r.Radio, 19)
	case 5:
		r.voyage(&m)
	case 24:
		m.put(r.Part, 2)
		if r.Part == 0 {
			m.say(r.Name, 20)
			break
		}
		m.put(r.ShipType, 8)
		m.say("", 7) // vendor
		m.say(r.Callsign, 7)
		r.dimensions(&m)
		m.put(0, 6) // spare
	}
	return m.String()
}

func (r *Report) position(m *message) {
	m.put(r.Speed, 10)
	m.put(0, 1) // accuracy
	m.put(r.Lon, 28)
	m.put(r.Lat, 27)
	m.put(r.Course, 12)
	m.put(r.Heading, 9)
	m.put(r.Second, 6)
}

func (r *Report) voyage(m *message) {
	m.put(0, 2) // version
	m.put(r.IMO, 30)
	m.say(r.Callsign, 7)
	m.say(r.Name, 20)
	m.put(r.ShipType, 8)
	r.dimensions(m)
	m.put(1, 4) // positioned by GPS
	m.put(r.Month, 4)
	m.put(r.Day, 5)
	m.put(r.Hour, 5)
	m.put(r.Minute, 6)
	m.put(r.Draught, 8)
	m.say(r.Destination, 20)
	m.put(0, 2) // DTE, spare
}

func (r *Report) dimensions(m *message) {
	m.put(r.Bow, 9)
	m.put(r.Stern, 9)
	m.put(r.Port, 6)
	m.put(r.Starboard, 6)
}
