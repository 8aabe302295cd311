package main

import (
	"fmt"
	"io"
	"iter"
	"math"
	"os"
	"sync/atomic"

	"github.com/streamproc/streamproc/internal/devstack"
	"github.com/streamproc/streamproc/internal/quakes"
	"github.com/streamproc/streamproc/workshop"
)

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
		for r, wrong := range workshop.Records(in) {
			if wrong != nil {
				*err = fmt.Errorf("feed %s, %w", name, wrong)
				return
			}
			if !yield(devstack.Record{Key: r.Key, Value: r.Value, Headers: r.Headers, Timestamp: r.Timestamp}) {
				return
			}
		}
	}
}
