package kafka

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Level is what transactions the brokers really give. It stands in their finalized features, not in their versions: a
// cluster of new brokers keeps the old rules until its operator raises transaction.version.
type Level string

// The levels of exactly once.
const (
	LevelTwo    Level = "exactly_once (KIP-890 part 2)" // each transaction has an epoch: a late request cannot end a later one
	LevelLegacy Level = "exactly_once-legacy"           // a request delayed on the network may end a later transaction
)

// part2 is the transaction.version from which each transaction has an epoch of its own.
const part2 = 2

func level(ctx context.Context, cl *kgo.Client) (Level, error) {
	f, err := features(ctx, cl)
	return levelOf(f), err
}

func levelOf(features map[string]int16) Level {
	if features["transaction.version"] >= part2 {
		return LevelTwo
	}
	return LevelLegacy
}

// features asks for what the brokers have agreed upon.
func features(ctx context.Context, cl *kgo.Client) (map[string]int16, error) {
	q := kmsg.NewPtrApiVersionsRequest()
	q.ClientSoftwareName, q.ClientSoftwareVersion = software, softwareVersion
	resp, err := q.RequestWith(ctx, cl)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		return nil, err
	}
	m := map[string]int16{}
	for _, f := range resp.FinalizedFeatures {
		m[f.Name] = f.MaxVersionLevel
	}
	return m, nil
}
