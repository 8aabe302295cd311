// Command processor does what the value of each record says, made with the official SDK.
package main

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/conduitio/conduit-commons/config"
	"github.com/conduitio/conduit-commons/opencdc"
	sdk "github.com/conduitio/conduit-processor-sdk"
)

func main() { sdk.Run(&processor{}) }

type processor struct {
	sdk.UnimplementedProcessor
	letter string
	opened bool
}

func (p *processor) Specification() (sdk.Specification, error) {
	return sdk.Specification{Name: "told", Version: "v1.2.3", Parameters: config.Parameters{
		"letter": {Default: "z", Type: config.ParameterTypeString},
	}}, nil
}

func (p *processor) Configure(_ context.Context, c config.Config) error {
	if p.letter = c["letter"]; p.letter == "" {
		return errors.New("letter is missing")
	}
	return nil
}

func (p *processor) Open(context.Context) error {
	p.opened = true
	return nil
}

func (p *processor) Process(ctx context.Context, records []opencdc.Record) []sdk.ProcessedRecord {
	var out []sdk.ProcessedRecord
	for _, r := range records {
		if r.Payload.After != nil && string(r.Payload.After.Bytes()) == "short" {
			return out
		}
		out = append(out, p.each(ctx, r))
	}
	return out
}

func (p *processor) each(ctx context.Context, r opencdc.Record) sdk.ProcessedRecord {
	if r.Payload.After == nil {
		r.Metadata["deleted"] = r.Operation.String()
		return sdk.SingleRecord(r)
	}
	switch string(r.Payload.After.Bytes()) {
	case "drop":
		return sdk.FilterRecord{}
	case "error":
		return sdk.ErrorRecord{Error: errors.New("as it was told")}
	case "panic":
		panic("as it was told")
	case "twice":
		return sdk.MultiRecord{r, r}
	case "nothing":
		return sdk.MultiRecord{}
	case "structured":
		r.Payload.After = opencdc.StructuredData{"n": 1.5, "letter": p.letter, "list": []any{true, nil}, "in": map[string]any{"a": "b"}}
	case "delete":
		r.Payload.After = nil
	case "rekey":
		r.Key = opencdc.RawData("new")
	case "metadata":
		var lines []string
		for k, v := range r.Metadata {
			lines = append(lines, k+"="+v)
		}
		sort.Strings(lines)
		r.Payload.After = opencdc.RawData(strings.Join(lines, " ") + fmt.Sprintf(" %s %s %t", r.Position, r.Operation, p.opened))
		r.Metadata = opencdc.Metadata{"added": "1"}
	case "log":
		sdk.Logger(ctx).Warn().Msg("told to log")
	}
	return sdk.SingleRecord(r)
}
