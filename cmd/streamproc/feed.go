package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/streamproc/streamproc/internal/devstack"
)

// maxLineBytes bounds a line of a feed: Kafka takes about 1 MiB, and what is refused should be refused there.
const maxLineBytes = 16 << 20

// readFeed reads a file of one record a line; - is stdin.
func readFeed(path string) ([]devstack.Record, error) {
	in := io.Reader(os.Stdin)
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("reading the feed: %w", err)
		}
		defer f.Close()
		in = f
	}
	return parseFeed(in)
}

func parseFeed(in io.Reader) ([]devstack.Record, error) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLineBytes)
	var list []devstack.Record
	for lines.Scan() {
		if line := bytes.TrimSpace(lines.Bytes()); len(line) > 0 {
			list = append(list, parseLine(bytes.Clone(line)))
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading the feed: %w", err)
	}
	return list, nil
}

func parseLine(line []byte) devstack.Record {
	var r struct {
		Key   *string         `json:"key"`
		Value json.RawMessage `json:"value"`
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if d.Decode(&r) != nil || r.Value == nil || d.More() {
		return devstack.Record{Value: line}
	}
	record := devstack.Record{Value: r.Value}
	if r.Key != nil {
		record.Key = []byte(*r.Key)
	}
	var text string
	if json.Unmarshal(r.Value, &text) == nil && r.Value[0] == '"' {
		record.Value = []byte(text)
	}
	return record
}
