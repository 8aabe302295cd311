package ais

import (
	"fmt"
	"strconv"
	"strings"
)

// payloadMost is how many characters of a payload are put into one sentence, of which 82 may be in all.
const payloadMost = 56

// Payload is the report's message in characters of six bits, and how many bits fill the last one.
func (r *Report) Payload() (payload string, fill int) {
	bits := r.bits()
	for len(bits)%6 != 0 {
		bits += "0"
		fill++
	}
	var p strings.Builder
	for ; bits != ""; bits = bits[6:] {
		six, _ := strconv.ParseUint(bits[:6], 2, 8) // they are six digits
		c := byte(six) + 48
		if c > 87 {
			c += 8
		}
		p.WriteByte(c)
	}
	return p.String(), fill
}

// Sentences are what a station sends of a report. The sequence tells apart messages of several sentences.
func (r *Report) Sentences(sequence int, channel string) []string {
	payload, fill := r.Payload()
	total := (len(payload) + payloadMost - 1) / payloadMost
	id := ""
	if total > 1 {
		id = strconv.Itoa(sequence % 10)
	}
	list := make([]string, total)
	for i := range list {
		part, last := payload[i*payloadMost:], fill
		if len(part) > payloadMost {
			part, last = part[:payloadMost], 0
		}
		list[i] = "!" + summed(fmt.Sprintf("AIVDM,%d,%d,%s,%s,%s,%d", total, i+1, id, channel, part, last))
	}
	return list
}

// Tagged puts before a sentence who heard it, and when, in milliseconds since 1970.
func Tagged(station string, at int64, sentence string) string {
	return `\` + summed(fmt.Sprintf("s:%s,c:%d", station, at)) + `\` + sentence
}

func summed(text string) string {
	var sum byte
	for i := range len(text) {
		sum ^= text[i]
	}
	return fmt.Sprintf("%s*%02X", text, sum)
}
