package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"sync/atomic"
	"time"

	"github.com/streamproc/streamproc/internal/devstack"
	"github.com/streamproc/streamproc/internal/quakes"
)

// maxLineBytes bounds a line of a feed: Kafka takes about 1 MiB, and what is refused should be refused there.
const maxLineBytes = 16 << 20

// feed is what dev feeds. It can be read once; err is set when the records have ended.
type feed struct {
	story    []fact
	records  iter.Seq[devstack.Record]
	expected int64 // how many there are, or -1
	count    atomic.Int64
	err      error
	file     *os.File
}

// fact is a line of what is said about a feed.
type fact struct{ about, text string }

// Close lets go of the file.
func (f *feed) Close() error {
	if f.file == nil {
		return nil
	}
	return f.file.Close()
}

// openFeed opens a file of JSON lines, or stdin, or else the earthquakes.
func openFeed(path string) (*feed, error) {
	if path == "" {
		return earthquakes()
	}
	f := &feed{expected: -1, file: os.Stdin, story: []fact{{"feed", path + ", nothing injected"}}}
	if path == "-" {
		f.story[0].text = "stdin, nothing injected"
	} else {
		var err error
		if f.file, err = os.Open(path); err != nil {
			return nil, fmt.Errorf("reading the feed: %w", err)
		}
	}
	f.records = f.counted(lines(f.file, path, &f.err))
	return f, nil
}

// counted counts the records as they are taken.
func (f *feed) counted(records iter.Seq[devstack.Record]) iter.Seq[devstack.Record] {
	return func(yield func(devstack.Record) bool) {
		for r := range records {
			f.count.Add(1)
			if !yield(r) {
				return
			}
		}
	}
}

// Injected repetition of the default feed: percent of the reports, at most so many reports behind, always the same.
const (
	repeatPercent  = 5
	repeatDistance = 50
	repeatSeed     = 1
)

func earthquakes() (*feed, error) {
	original, err := quakes.Records()
	if err != nil {
		return nil, err
	}
	repeated, in := quakes.InjectRepetition(original, repeatPercent, repeatDistance, repeatSeed)
	late := quakes.Late(original)
	f := &feed{expected: int64(len(repeated)), story: []fact{
		{"feed", fmt.Sprintf("%s that the US Geological Survey reported in February 2018, sent in the order of their last update: "+
			"%s (%.0f %%) come after one that shook later", plural(int64(len(original)), "earthquake", "earthquakes"),
			number(int64(late)), math.Round(100*float64(late)/float64(len(original))))},
		{"injected", fmt.Sprintf("%s, so that there is something to dedup: 1 report in %d, sent again at most %d reports later, always the same ones (seed %d). "+
			"Nothing else is changed", plural(int64(len(in.Copies)), "copy", "copies"), 100/repeatPercent, repeatDistance, in.Seed)},
	}}
	f.records = f.counted(func(yield func(devstack.Record) bool) {
		for _, q := range repeated {
			if !yield(devstack.Record{Key: []byte(q.ID), Value: q.Value}) {
				return
			}
		}
	})
	return f, nil
}

// lines reads one record a line. The first line that cannot be read ends it, and is err.
func lines(in io.Reader, name string, err *error) iter.Seq[devstack.Record] {
	return func(yield func(devstack.Record) bool) {
		scan := bufio.NewScanner(in)
		scan.Buffer(nil, maxLineBytes)
		n := 1
		for ; scan.Scan(); n++ {
			line := bytes.TrimSpace(scan.Bytes())
			if len(line) == 0 {
				continue
			}
			r, wrong := parseLine(bytes.Clone(line))
			if wrong != nil {
				*err = fmt.Errorf("feed %s, line %d: %w", name, n, wrong)
				return
			}
			if !yield(r) {
				return
			}
		}
		if wrong := scan.Err(); errors.Is(wrong, bufio.ErrTooLong) {
			*err = fmt.Errorf("feed %s, line %d: it is longer than %d bytes", name, n, maxLineBytes)
		} else if wrong != nil {
			*err = fmt.Errorf("feed %s, line %d: %w", name, n, wrong)
		}
	}
}

// parseLine takes an object with a value and none but the known members apart. Everything else is a value itself, also
// what is almost JSON: that is how a feed tests what a pipeline does with it.
func parseLine(line []byte) (devstack.Record, error) {
	var members map[string]json.RawMessage
	if json.Unmarshal(line, &members) != nil || members["value"] == nil {
		return devstack.Record{Value: line}, nil //nolint:nilerr // what is no object is a value itself
	}
	for name := range members {
		if name != "key" && name != "value" && name != "headers" && name != "timestamp" {
			return devstack.Record{Value: line}, nil
		}
	}
	r := devstack.Record{Value: text(members["value"])}
	if key := members["key"]; key != nil {
		if r.Key = text(key); key[0] != '"' && r.Key != nil {
			return r, fmt.Errorf("key is %s: write text, or null", cut(string(key), 40))
		}
	}
	if headers := members["headers"]; headers != nil && json.Unmarshal(headers, &r.Headers) != nil {
		return r, fmt.Errorf("headers are %s: write an object of text", cut(string(headers), 40))
	}
	var err error
	if at := members["timestamp"]; at != nil {
		r.Timestamp, err = timestamp(at)
	}
	return r, err
}

// text is the bytes of a JSON value: those of a string without its quotes, nil of null, else the JSON as it stands.
func text(raw json.RawMessage) []byte {
	var s string
	switch {
	case string(raw) == "null":
		return nil
	case raw[0] == '"' && json.Unmarshal(raw, &s) == nil:
		return []byte(s)
	}
	return raw
}

func timestamp(raw json.RawMessage) (int64, error) {
	var ms int64
	if json.Unmarshal(raw, &ms) == nil && ms > 0 {
		return ms, nil
	}
	var at time.Time
	if json.Unmarshal(raw, &at) == nil && at.UnixMilli() > 0 {
		return at.UnixMilli(), nil
	}
	return 0, fmt.Errorf("timestamp is %s: write RFC 3339, as in \"2026-01-31T12:00:00Z\", or milliseconds since 1970", cut(string(raw), 40))
}
