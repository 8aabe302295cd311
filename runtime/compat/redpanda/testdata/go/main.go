// Command transform does what the value of each record says, made with the official SDK.
package main

import (
	"errors"
	"os"

	"github.com/redpanda-data/redpanda/src/transform-sdk/go/transform"
)

func main() { transform.OnRecordWritten(each) }

func each(e transform.WriteEvent, w transform.RecordWriter) error {
	r := e.Record()
	switch string(r.Value) {
	case "drop":
		return nil
	case "panic":
		panic("as it was told")
	case "error":
		return errors.New("as it was told")
	case "side":
		return w.Write(r, transform.ToTopic("side"))
	case "environment":
		r.Value = []byte(os.Getenv("REDPANDA_INPUT_TOPIC"))
	}
	return w.Write(r)
}
