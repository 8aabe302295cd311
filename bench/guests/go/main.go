// Command go is NEXMark's query 1 or 2, or a filter that keeps every bid, as a plugin with encoding/json: from the whole value, or from the fields that the
// host finds in it.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	sp1 "github.com/streamproc/streamproc/plugins/sdk/go"
)

var query = "q1" // set by the linker; filter is the third; with -fields behind it for those

var auction, bidder, price, channel, dateTime sp1.Field

func init() {
	handle := parsed
	if query == "filter" {
		handle = parsedFilter
	}
	if strings.HasSuffix(query, "-fields") {
		handle = projected
		switch query {
		case "filter-fields":
			handle = filtered
			price, channel = sp1.Want("price"), sp1.Want("channel")
		case "q1-fields":
			bidder, channel, dateTime = sp1.Want("bidder"), sp1.Want("channel"), sp1.Want("dateTime")
			fallthrough
		default:
			auction, price = sp1.Want("auction"), sp1.Want("price")
		}
	}
	sp1.Handle(handle)
}

func main() {}

type bid struct {
	Auction  int64  `json:"auction"`
	Bidder   int64  `json:"bidder"`
	Price    int64  `json:"price"`
	Channel  string `json:"channel"`
	DateTime string `json:"dateTime"`
}

type euro struct {
	Auction  int64       `json:"auction"`
	Bidder   int64       `json:"bidder"`
	Price    json.Number `json:"price"`
	Channel  string      `json:"channel"`
	DateTime string      `json:"dateTime"`
}

type seen struct {
	Auction int64 `json:"auction"`
	Price   int64 `json:"price"`
}

func parsed(r *sp1.Record, out *sp1.Outputs) (sp1.Verdict, error) {
	var b bid
	if err := json.Unmarshal(r.Value, &b); err != nil {
		return sp1.Drop, err
	}
	return answer(&b, out)
}

// parsedFilter keeps the bids that filtered keeps.
func parsedFilter(r *sp1.Record, _ *sp1.Outputs) (sp1.Verdict, error) {
	var b struct {
		Price   int64  `json:"price"`
		Channel string `json:"channel"`
	}
	if err := json.Unmarshal(r.Value, &b); err != nil {
		return sp1.Drop, err
	}
	return kept(b.Price, b.Channel), nil
}

func filtered(r *sp1.Record, _ *sp1.Outputs) (sp1.Verdict, error) {
	p, has := price.Int(r)
	c, too := channel.Text(r)
	if !has || !too {
		return sp1.Drop, errNoBid
	}
	return kept(p, c), nil
}

func kept(price int64, channel string) sp1.Verdict {
	if price >= 100 && channel != "" {
		return sp1.Keep
	}
	return sp1.Drop
}

var errNoBid = errors.New("no bid")

func projected(r *sp1.Record, out *sp1.Outputs) (sp1.Verdict, error) {
	var b bid
	var a, p bool
	b.Auction, a = auction.Int(r)
	b.Price, p = price.Int(r)
	if !a || !p {
		return sp1.Drop, errNoBid
	}
	if query == "q1-fields" {
		var has [3]bool
		b.Bidder, has[0] = bidder.Int(r)
		b.Channel, has[1] = channel.Text(r)
		b.DateTime, has[2] = dateTime.Text(r)
		if has != [3]bool{true, true, true} {
			return sp1.Drop, errNoBid
		}
	}
	return answer(&b, out)
}

func answer(b *bid, out *sp1.Outputs) (sp1.Verdict, error) {
	var made any
	if strings.HasPrefix(query, "q2") {
		if b.Auction%123 != 0 {
			return sp1.Drop, nil
		}
		made = seen{b.Auction, b.Price}
	} else {
		thousandths := b.Price * 908
		made = euro{b.Auction, b.Bidder, json.Number(fmt.Sprintf("%d.%03d", thousandths/1000, thousandths%1000)), b.Channel, b.DateTime}
	}
	v, err := json.Marshal(made)
	if err != nil {
		return sp1.Drop, err
	}
	out.Put(v)
	return sp1.Replaced, nil
}
