// Package quakes is the real input of dev and of the main test: the earthquakes that the US Geological Survey reported in
// the first week of February 2018, as they became known. See ORIGIN.md for where the data come from.
package quakes

import (
	"bytes"
	"cmp"
	"compress/gzip"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

//go:embed earthquakes.json.gz
var compressed []byte

// maxBytes bounds what is unpacked; the file has 1.2 MB.
const maxBytes = 16 << 20

// Quake is one report: a GeoJSON feature, byte for byte as published.
type Quake struct {
	ID      string
	Time    int64 // when the earth shook: event time, in ms
	Updated int64 // when the report was last changed: the order of the feed, in ms
	Value   []byte
}

// Records returns the reports in the order of their update, which is the order in which they would have been sent.
func Records() ([]Quake, error) {
	zr, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return nil, fmt.Errorf("unpacking the earthquakes: %w", err)
	}
	raw, err := io.ReadAll(io.LimitReader(zr, maxBytes))
	if err != nil {
		return nil, fmt.Errorf("unpacking the earthquakes: %w", err)
	}
	return Decode(raw)
}

// Decode reads a GeoJSON feature collection, and returns its features in the order of their update.
func Decode(raw []byte) ([]Quake, error) {
	var collection struct {
		Features []json.RawMessage `json:"features"`
	}
	if err := json.Unmarshal(raw, &collection); err != nil {
		return nil, fmt.Errorf("reading a feature collection: %w", err)
	}
	quakes := make([]Quake, 0, len(collection.Features))
	for i, f := range collection.Features {
		q, err := decodeFeature(f)
		if err != nil {
			return nil, fmt.Errorf("reading feature %d: %w", i, err)
		}
		quakes = append(quakes, q)
	}
	slices.SortStableFunc(quakes, func(a, b Quake) int { return cmp.Compare(a.Updated, b.Updated) })
	return quakes, nil
}

func decodeFeature(raw json.RawMessage) (Quake, error) {
	var f struct {
		ID         string `json:"id"`
		Properties struct {
			Time    int64 `json:"time"`
			Updated int64 `json:"updated"`
		} `json:"properties"`
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		return Quake{}, err
	}
	if f.ID == "" {
		return Quake{}, fmt.Errorf("it has no id")
	}
	return Quake{ID: f.ID, Time: f.Properties.Time, Updated: f.Properties.Updated, Value: raw}, nil
}

// Late counts the reports whose event time lies before one that was sent earlier.
func Late(quakes []Quake) int {
	var late int
	var latest int64
	for i, q := range quakes {
		if i > 0 && q.Time < latest {
			late++
		}
		latest = max(latest, q.Time)
	}
	return late
}
