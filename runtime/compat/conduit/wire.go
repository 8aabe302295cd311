package conduit

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/streamproc/streamproc/runtime"
	"github.com/streamproc/streamproc/stream"
	"google.golang.org/protobuf/encoding/protowire"
)

// The messages of processor/v1 and opencdc/v1, as far as they are used here.
const (
	reqConfigure, reqOpen, reqProcess, reqTeardown = 2, 3, 4, 5
	resError, resProcess                           = 1, 5
	errorMessage                                   = 2

	proSingle, proFilter, proError, proMulti                               = 1, 2, 3, 4
	recPosition, recOperation, recMetadata, recKey, recPayload             = 1, 2, 3, 4, 5
	operationCreate, operationDelete, changeAfter, dataRaw, dataStructured = 1, 3, 2, 1, 2
)

func appendText(b []byte, field protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), s)
}

func message(b []byte, field protowire.Number, m []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), m)
}

// entry is one of a map of texts. Of several with one name the last counts.
func entry(b []byte, field protowire.Number, name, value string) []byte {
	return message(b, field, appendText(appendText(nil, 1, name), 2, value))
}

func configureRequest(settings map[string]string) (b []byte) {
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		b = entry(b, 1, name, settings[name])
	}
	return message(nil, reqConfigure, b)
}

func openRequest() []byte     { return message(nil, reqOpen, nil) }
func teardownRequest() []byte { return message(nil, reqTeardown, nil) }

func processRequest(c *runtime.Call, part []int) []byte {
	var records, one []byte
	for _, i := range part {
		one = appendRecord(one[:0], c.Record(i))
		records = message(records, 1, one)
	}
	return message(nil, reqProcess, records)
}

// appendRecord writes a record. A null key or value is left out.
func appendRecord(b []byte, r *stream.Record) []byte {
	b = appendText(b, recPosition, r.Origin.String())
	b = protowire.AppendTag(b, recOperation, protowire.VarintType)
	if r.Value == nil {
		b = protowire.AppendVarint(b, operationDelete)
	} else {
		b = protowire.AppendVarint(b, operationCreate)
	}
	for i := range r.Headers {
		b = entry(b, recMetadata, r.Headers[i].Key, string(r.Headers[i].Value))
	}
	for _, m := range told(r) {
		b = entry(b, recMetadata, m.name, m.value)
	}
	if r.Key != nil {
		b = message(b, recKey, message(nil, dataRaw, r.Key))
	}
	if r.Value != nil {
		b = message(b, recPayload, message(nil, changeAfter, message(nil, dataRaw, r.Value)))
	}
	return b
}

// response is what a processor answers to a command: an error, or answers if the command was process.
type response struct {
	failed  bool
	failure string
	answers []answer
}

type kind uint8

const (
	unanswered kind = iota
	single
	filtered
	failed
	multi
)

// answer is what is to become of one record.
type answer struct {
	kind    kind
	text    string
	records [][]byte
}

// What a response may have: it is read into memory of the host, where each thing takes more room than in the guest.
const (
	maxRecords  = 1 << 20 // of one answer; the limit outputs is no higher
	maxMetadata = 1000    // of one record
	maxValues   = 1 << 20 // of one structured datum
)

var (
	errWire     = errors.New("it is no protocol buffer")
	errAnswer   = errors.New("an answer is neither a record, nor several, nor an error, nor a filter")
	errAnswers  = errors.New("it has more answers than there were records")
	errRecords  = fmt.Errorf("an answer has more than %d records", maxRecords)
	errMetadata = fmt.Errorf("a record has more than %d metadata", maxMetadata)
)

// field is one field of a message: its bytes, if it has a length, or its number.
type field struct {
	is     protowire.Number
	bytes  []byte // nil if it has no length
	number uint64
}

// eachField visits the fields of a message. Those of other kinds, which are not used here, come empty.
func eachField(b []byte, visit func(f field) error) error {
	for len(b) > 0 {
		is, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errWire
		}
		b = b[n:]
		f := field{is: is}
		switch kind {
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(b)
		case protowire.VarintType:
			f.number, n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			f.number, n = protowire.ConsumeFixed64(b)
		default:
			n = protowire.ConsumeFieldValue(is, kind, b)
		}
		if n < 0 {
			return errWire
		}
		f.bytes = f.bytes[:len(f.bytes):len(f.bytes)]
		if err := visit(f); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// readResponse reads a response with at most so many answers.
func readResponse(b []byte, most int) (r response, err error) {
	err = eachField(b, func(f field) error {
		switch f.is {
		case resError:
			r.failed = true
			r.failure, err = readError(f.bytes)
			return err
		case resProcess:
			return eachField(f.bytes, func(f field) error {
				if len(r.answers) == most {
					return errAnswers
				}
				a, err := readAnswer(f.bytes)
				r.answers = append(r.answers, a)
				return err
			})
		}
		return nil
	})
	return r, err
}

func readError(b []byte) (said string, err error) {
	err = eachField(b, func(f field) error {
		if f.is == errorMessage {
			said = string(f.bytes)
		}
		return nil
	})
	return said, err
}

func readAnswer(b []byte) (a answer, err error) {
	err = eachField(b, func(f field) error {
		switch f.is {
		case proSingle:
			a = answer{kind: single, records: [][]byte{f.bytes}}
		case proFilter:
			a = answer{kind: filtered}
		case proError:
			a = answer{kind: failed}
			return eachField(f.bytes, func(f field) (err error) {
				a.text, err = readError(f.bytes)
				return err
			})
		case proMulti:
			a = answer{kind: multi}
			return eachField(f.bytes, func(f field) error {
				if len(a.records) == maxRecords {
					return errRecords
				}
				a.records = append(a.records, f.bytes)
				return nil
			})
		}
		return nil
	})
	if err == nil && a.kind == unanswered {
		err = errAnswer
	}
	return a, err
}

// record is what a processor gives back. Its slices share memory with the response.
type record struct {
	metadata   map[string]string
	key, value []byte
}

func readRecord(b []byte) (r record, err error) {
	r.metadata = map[string]string{}
	err = eachField(b, func(f field) (err error) {
		switch f.is {
		case recMetadata:
			var name, value string
			err = eachField(f.bytes, func(f field) error {
				if f.is == 1 {
					name = string(f.bytes)
				} else if f.is == 2 {
					value = string(f.bytes)
				}
				return nil
			})
			if r.metadata[name] = value; len(r.metadata) > maxMetadata {
				err = errMetadata
			}
		case recKey:
			r.key, err = readData(f.bytes)
		case recPayload:
			err = eachField(f.bytes, func(f field) (err error) {
				if f.is == changeAfter {
					r.value, err = readData(f.bytes)
				}
				return err
			})
		}
		return err
	})
	return r, err
}

// readData returns raw data as they are, and structured ones as JSON. Nil is null.
func readData(b []byte) (data []byte, err error) {
	err = eachField(b, func(f field) (err error) {
		switch f.is {
		case dataRaw:
			data = f.bytes
		case dataStructured:
			data, err = structJSON(f.bytes)
		}
		return err
	})
	return data, err
}
