package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/streamproc/streamproc/internal/devstack"
)

func parse(t *testing.T, text string) ([]devstack.Record, error) {
	t.Helper()
	var err error
	var list []devstack.Record
	for r := range lines(strings.NewReader(text), "in.jsonl", &err) {
		list = append(list, r)
	}
	return list, err
}

func TestAFeedTakesApartWhatItKnows(t *testing.T) {
	for line, want := range map[string]devstack.Record{
		`{"key":"a","value":{"n": 1}}`:                      {Key: []byte("a"), Value: []byte(`{"n": 1}`)},
		`{"key":"a","value":"text"}`:                        {Key: []byte("a"), Value: []byte("text")},
		`{"key":null,"value":null}`:                         {},
		`{"value":1,"headers":{"id":"7"},"timestamp":1500}`: {Value: []byte("1"), Headers: map[string]string{"id": "7"}, Timestamp: 1500},
		`{"value":1,"timestamp":"2026-01-31T12:00:00Z"}`:    {Value: []byte("1"), Timestamp: 1769860800000},
		`{"value":1,"other":2}`:                             {Value: []byte(`{"value":1,"other":2}`)},
		`{"key":"no value"}`:                                {Value: []byte(`{"key":"no value"}`)},
		`{"value": almost`:                                  {Value: []byte(`{"value": almost`)},
		`plain`:                                             {Value: []byte("plain")},
	} {
		got, err := parse(t, "\n"+line+"\n")
		if err != nil || len(got) != 1 {
			t.Errorf("%s: %v %v", line, got, err)
		} else if diff := cmp.Diff(want, got[0]); diff != "" {
			t.Errorf("%s: %s", line, diff)
		}
	}
}

func TestAWrongLineIsNamed(t *testing.T) {
	for line, want := range map[string]string{
		`{"value":1,"key":2}`:                 `feed in.jsonl, line 3: key is 2`,
		`{"value":1,"headers":["a"]}`:         `feed in.jsonl, line 3: headers are ["a"]`,
		`{"value":1,"headers":{"a":1}}`:       `feed in.jsonl, line 3: headers are {"a":1}`,
		`{"value":1,"timestamp":"yesterday"}`: `feed in.jsonl, line 3: timestamp is "yesterday": write RFC 3339`,
		`{"value":1,"timestamp":-5}`:          `feed in.jsonl, line 3: timestamp is -5`,
		strings.Repeat("x", maxLineBytes+1):   `feed in.jsonl, line 3: it is longer than`,
	} {
		got, err := parse(t, "first\n\n"+line+"\nlast\n")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v, want %s", line, err, want)
		}
		if len(got) != 1 || string(got[0].Value) != "first" {
			t.Errorf("%.40s: %d records before it", line, len(got))
		}
	}
}
