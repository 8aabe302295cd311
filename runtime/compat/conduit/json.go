package conduit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
)

// A google.protobuf.Struct is JSON in protocol buffers: a struct has fields, a list has values, and a value is one of these
// or a null, a number, a text or a truth.
const (
	valueNumber, valueText, valueTruth, valueStruct, valueList = 2, 3, 4, 5, 6
)

// maxDepth bounds structs within structs.
const maxDepth = 100

var (
	errDepth  = errors.New("structured data are nested too deep")
	errValues = fmt.Errorf("structured data have more than %d values", maxValues)
)

// structure reads one structured datum.
type structure struct{ values int }

// count is asked for each value.
func (s *structure) count() error {
	if s.values++; s.values > maxValues {
		return errValues
	}
	return nil
}

// structJSON writes a struct as JSON, its fields by name.
func structJSON(b []byte) ([]byte, error) {
	v, err := (&structure{}).structOf(b, maxDepth)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w := json.NewEncoder(&out)
	w.SetEscapeHTML(false)
	if err := w.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

func (s *structure) structOf(b []byte, depth int) (map[string]any, error) {
	if depth == 0 {
		return nil, errDepth
	}
	m := map[string]any{}
	err := eachField(b, func(f field) error {
		if err := s.count(); err != nil {
			return err
		}
		var name string
		var v any
		err := eachField(f.bytes, func(f field) (err error) {
			if f.is == 1 {
				name = string(f.bytes)
			} else if f.is == 2 {
				v, err = s.valueOf(f.bytes, depth-1)
			}
			return err
		})
		m[name] = v
		return err
	})
	return m, err
}

func (s *structure) valueOf(b []byte, depth int) (v any, err error) {
	err = eachField(b, func(f field) (err error) {
		switch f.is {
		case valueNumber:
			v = math.Float64frombits(f.number)
		case valueText:
			v = string(f.bytes)
		case valueTruth:
			v = f.number != 0
		case valueStruct:
			v, err = s.structOf(f.bytes, depth)
		case valueList:
			v, err = s.listOf(f.bytes, depth)
		default:
			v = nil
		}
		return err
	})
	return v, err
}

func (s *structure) listOf(b []byte, depth int) ([]any, error) {
	if depth == 0 {
		return nil, errDepth
	}
	list := []any{}
	err := eachField(b, func(f field) error {
		if err := s.count(); err != nil {
			return err
		}
		v, err := s.valueOf(f.bytes, depth-1)
		list = append(list, v)
		return err
	})
	return list, err
}
