package workshop

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestALineIsTakenApartIfAllOfItIsKnown(t *testing.T) {
	for line, want := range map[string]Record{
		`{"key":"a","value":{"n": 1}}`:                      {Key: []byte("a"), Value: []byte(`{"n": 1}`)},
		`{"key":"a","value":"text"}`:                        {Key: []byte("a"), Value: []byte("text")},
		`{"key":null,"value":null}`:                         {},
		`{"value":1,"headers":{"id":"7"},"timestamp":1500}`: {Value: []byte("1"), Headers: map[string]string{"id": "7"}, Timestamp: 1500},
		`{"value":1,"timestamp":"2026-01-31T12:00:00Z"}`:    {Value: []byte("1"), Timestamp: 1769860800000},
		`{"value":1,"other":2}`:                             {Value: []byte(`{"value":1,"other":2}`)},
		`{"key":"no value"}`:                                {Value: []byte(`{"key":"no value"}`)},
		`{"value": almost`:                                  {Value: []byte(`{"value": almost`)},
		`plain`:                                             {Value: []byte("plain")},
		` {"n":1} `:                                         {Value: []byte(` {"n":1} `)},
	} {
		got, err := ReadRecords(strings.NewReader("\n" + line + "\n"))
		want.Line = 2
		if err != nil || len(got) != 1 {
			t.Errorf("%s: %v %v", line, got, err)
		} else if diff := cmp.Diff(want, got[0]); diff != "" {
			t.Errorf("%s: %s", line, diff)
		}
	}
}

func TestAWrongLineIsNamed(t *testing.T) {
	for line, want := range map[string]string{
		`{"value":1,"key":2}`:                 `reading records, line 3: key is 2`,
		`{"value":1,"headers":["a"]}`:         `reading records, line 3: headers are ["a"]`,
		`{"value":1,"headers":{"a":1}}`:       `reading records, line 3: headers are {"a":1}`,
		`{"value":1,"timestamp":"yesterday"}`: `reading records, line 3: timestamp is "yesterday": write RFC 3339`,
		`{"value":1,"timestamp":-5}`:          `reading records, line 3: timestamp is -5`,
		strings.Repeat("x", MaxLineBytes+1):   `reading records, line 3: it is longer than`,
	} {
		_, err := ReadRecords(strings.NewReader("first\n\n" + line + "\nlast\n"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v, want %s", line, err, want)
		}
	}
}

func FuzzRecordsOfAnyLinesAreReadOrRefused(f *testing.F) {
	for _, lines := range []string{`{"id":1}` + "\n\n[2]", `{"value":{},"key":"k","headers":{"h":"x"},"timestamp":"2026-01-31T12:00:00Z"}`, `{"value":null,"key":7}`,
		`{"value":"\ud800","timestamp":-1}`, `{"value":1,"headers":[]}`, "{\"value\":\xff}"} {
		f.Add([]byte(lines))
	}
	f.Fuzz(func(t *testing.T, lines []byte) {
		last := 0
		for r, err := range Records(bytes.NewReader(lines)) {
			if err != nil {
				if !strings.HasPrefix(err.Error(), "line ") {
					t.Fatalf("%v names no line", err)
				}
				break
			}
			if r.Line <= last || r.Timestamp < 0 {
				t.Fatalf("behind line %d comes %+v", last, r)
			}
			last = r.Line
		}
	})
}
