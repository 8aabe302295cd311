// Package redpanda lets modules made for Redpanda Data Transforms run unchanged, both versions of their ABI.
//
// Such a module runs from _start on, and asks: read_batch_header waits for a batch, read_next_record takes one record,
// write_record writes one, any number of times. A record's outputs are those written before the next one is read.
package redpanda

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/runtime/compat/pull"
	"github.com/streamproc/streamproc/runtime/meter"
	"github.com/streamproc/streamproc/stream"
	"github.com/tetratelabs/wazero/api"
)

const (
	module   = "redpanda_transform"
	registry = "redpanda_schema_registry"
)

// Dialect is the ABI.
type Dialect struct{}

// Name implements runtime.Dialect.
func (Dialect) Name() string { return "redpanda" }

// Speaks implements runtime.Dialect.
func (Dialect) Speaks(m *meter.Module) bool { return m.ImportsFrom(module) }

// Check implements runtime.Dialect.
func (Dialect) Check(m *meter.Module) error {
	if _, ok := m.Exported("_start"); !ok {
		return errors.New("a Redpanda data transform exports _start; this module does not")
	}
	if !slices.ContainsFunc(m.Imports, func(i meter.Import) bool { return strings.HasPrefix(i.Name, "check_abi_version_") }) {
		return errors.New("a Redpanda data transform imports check_abi_version_1 or _2; this module does not")
	}
	return nil
}

// Functions implements runtime.Dialect.
func (Dialect) Functions() []runtime.HostFunction {
	nothing := func(runtime.Session, api.Module, []uint64) {}
	of := func(call func(*session, api.Memory, []uint64) int32) func(runtime.Session, api.Module, []uint64) {
		return func(s runtime.Session, m api.Module, stack []uint64) {
			stack[0] = uint64(uint32(call(s.(*session), m.Memory(), stack)))
		}
	}
	return []runtime.HostFunction{
		{Module: module, Name: "check_abi_version_1", Types: ":", Call: nothing},
		{Module: module, Name: "check_abi_version_2", Types: ":", Call: nothing},
		{Module: module, Name: "read_batch_header", Types: "iiiiiiiiii:i", Call: of((*session).readHeader)},
		{Module: module, Name: "read_next_record", Types: "iiiii:i", Call: of((*session).readRecord)},
		{Module: module, Name: "write_record", Types: "ii:i", Call: of((*session).write)},
		{Module: module, Name: "write_record_with_options", Types: "iiii:i", Call: of((*session).writeTo)},
		{Module: registry, Name: "check_abi_version_0", Types: ":", Call: nothing},
		{Module: registry, Name: "get_schema_definition_len", Types: "ii:i", Call: of((*session).registryOff)},
		{Module: registry, Name: "get_schema_definition", Types: "iii:i", Call: of((*session).registryOff)},
		{Module: registry, Name: "get_subject_schema_len", Types: "iiii:i", Call: of((*session).registryOff)},
		{Module: registry, Name: "get_subject_schema", Types: "iiiii:i", Call: of((*session).registryOff)},
		{Module: registry, Name: "create_subject_schema", Types: "iiiii:i", Call: of((*session).registryOff)},
	}
}

// Open implements runtime.Dialect.
func (Dialect) Open(h *runtime.Host) (runtime.Session, error) {
	if h.Mode() == runtime.Filter {
		return nil, errors.New("a Redpanda data transform writes records; use it as a transform")
	}
	s := &session{host: h, at: -1}
	var err error
	s.variables, err = variables(h)
	return s, err
}

// defaultOutput is what the transform may call the step's own output.
const defaultOutput = "output"

// variables are the user's, from the plugin's config, and those that a broker sets.
func variables(h *runtime.Host) ([]string, error) {
	settings, err := h.Settings()
	if err != nil {
		return nil, fmt.Errorf("the config of a Redpanda data transform is its environment, names and values: %w", err)
	}
	var list []string
	for name, text := range settings {
		if strings.ContainsAny(name, "=\x00") || strings.Contains(text, "\x00") || strings.HasPrefix(name, "REDPANDA_") {
			return nil, fmt.Errorf("the config %q cannot be a variable of the environment", name)
		}
		list = append(list, name+"="+text)
	}
	slices.Sort(list)
	for _, topic := range h.Topics() {
		list = append(list, "REDPANDA_INPUT_TOPIC="+topic)
		break
	}
	for i, name := range append([]string{defaultOutput}, h.Outputs()...) {
		list = append(list, fmt.Sprintf("REDPANDA_OUTPUT_TOPIC_%d=%s", i, name))
	}
	return list, nil
}

// session is one running transform.
type session struct {
	host      *runtime.Host
	variables []string
	run       *pull.Run

	call    *runtime.Call // nil between batches
	at      int           // the record read last, or -1
	refused string        // why a write of this record was refused
	spans   uint64        // milliseconds on the monotonic clock
	told    bool          // that there is no schema registry
	asked   bool          // for one, since it read this record
}

// Start implements runtime.Session.
func (s *session) Start(ctx context.Context) error {
	start := s.host.Module.ExportedFunction("_start")
	s.run = pull.New(ctx, s.host.Context, func(ctx context.Context) error {
		_, err := start.Call(ctx)
		return err
	})
	if err := s.run.Resume(ctx); err != nil {
		if s.asked {
			err = fmt.Errorf("%s: %w", noRegistry, err)
		}
		return fmt.Errorf("the transform ended before it was ready for records: %w", err)
	}
	return nil
}

// Process implements runtime.Session.
func (s *session) Process(ctx context.Context, c *runtime.Call) error {
	s.call, s.at, s.refused, s.asked = c, -1, "", false
	defer func() { s.call = nil }()
	if err := s.run.Resume(ctx); err != nil {
		if s.refused != "" {
			return runtime.Failure(stream.ReasonError, s.refused, false)
		}
		if s.asked {
			return runtime.Failure(stream.ReasonError, noRegistry, false)
		}
		return err
	}
	if left := c.Len() - s.at - 1; left > 0 {
		c.At(s.at + 1)
		return runtime.Breach("the transform asked for the next batch before it had read %d records of this one", left)
	}
	return nil
}

// Close implements runtime.Session.
func (s *session) Close(context.Context) error {
	s.run.Stop()
	return nil
}

// Arguments implements runtime.Environment.
func (s *session) Arguments() []string { return []string{s.host.Name()} }

// Variables implements runtime.Environment.
func (s *session) Variables() []string { return s.variables }

// Now implements runtime.Clock: the time is that of the record at hand.
func (s *session) Now(monotonic bool) uint64 {
	if monotonic {
		s.spans++
		return s.spans * 1e6
	}
	if s.call == nil || s.at < 0 {
		return 0
	}
	return uint64(s.call.Record(s.at).Timestamp) * 1e6
}

const noRegistry = "the transform asks for a schema registry, and there is none: it is told that it is off"

func (s *session) registryOff(api.Memory, []uint64) int32 {
	if s.asked = true; !s.told {
		s.told = true
		s.host.Log(2, []byte(noRegistry))
	}
	return -1
}
