// Command go is NEXMark's query 1 or 2 as a plugin, with encoding/json.
package main

import (
	"encoding/json"

	sp1 "github.com/streamproc/streamproc/plugins/sdk/go"
)

var query = "q1" // set by the linker

func init() { sp1.Handle(handle) }

func main() {}

type bid struct {
	Auction  int64  `json:"auction"`
	Bidder   int64  `json:"bidder"`
	Price    int64  `json:"price"`
	Channel  string `json:"channel"`
	DateTime string `json:"dateTime"`
}

type euro struct {
	Auction  int64   `json:"auction"`
	Bidder   int64   `json:"bidder"`
	Price    float64 `json:"price"`
	Channel  string  `json:"channel"`
	DateTime string  `json:"dateTime"`
}

type seen struct {
	Auction int64 `json:"auction"`
	Price   int64 `json:"price"`
}

func handle(r *sp1.Record, out *sp1.Outputs) (sp1.Verdict, error) {
	var b bid
	if err := json.Unmarshal(r.Value, &b); err != nil {
		return sp1.Drop, err
	}
	var made any = euro{b.Auction, b.Bidder, float64(b.Price*908) / 1000, b.Channel, b.DateTime}
	if query == "q2" {
		if b.Auction%123 != 0 {
			return sp1.Drop, nil
		}
		made = seen{b.Auction, b.Price}
	}
	v, err := json.Marshal(made)
	if err != nil {
		return sp1.Drop, err
	}
	out.Put(v)
	return sp1.Replaced, nil
}
