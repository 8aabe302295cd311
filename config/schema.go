package config

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/invopop/jsonschema"
)

// referencePattern is what a value may be that comes from the environment.
const referencePattern = `\$\{`

// JSONSchema is the grammar for editors: what they complete, explain and underline.
func JSONSchema() []byte {
	s := schemaOf(grammar())
	s.Version, s.Title = jsonschema.Version, "streamproc configuration"
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("the schema cannot be written as JSON: %v", err)) // it is made of strings alone
	}
	return append(text, '\n')
}

func schemaOf(v value) *jsonschema.Schema {
	var s *jsonschema.Schema
	switch {
	case v.any:
		return &jsonschema.Schema{}
	case v.fields != nil:
		s = schemaOfFields(v)
	case v.named:
		s = &jsonschema.Schema{Type: "object", PropertyNames: &jsonschema.Schema{Pattern: nameRE.String()}, AdditionalProperties: schemaOf(v.item())}
	case v.item != nil:
		s = &jsonschema.Schema{Type: "array", Items: schemaOf(v.item())}
	default:
		s = schemaOfScalar(v.shape)
	}
	if v.or != nil {
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{schemaOf(*v.or), s}}
	}
	return s
}

func schemaOfFields(v value) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "object", Properties: jsonschema.NewProperties(), AdditionalProperties: jsonschema.FalseSchema}
	for _, x := range v.fields() {
		if x.value.withheld {
			continue
		}
		p := schemaOf(x.value)
		p.Description = x.doc
		if x.value.def != "" && x.value.fields == nil {
			p.Default = jsonDefault(x.value.shape)
		}
		s.Properties.Set(x.name, p)
		if x.need != "" {
			s.Required = append(s.Required, x.name)
		}
	}
	for _, name := range v.only {
		s.OneOf = append(s.OneOf, &jsonschema.Schema{Required: []string{name}})
	}
	return s
}

func jsonDefault(s shape) any {
	if b, err := strconv.ParseBool(s.def); err == nil && s.boolean {
		return b
	}
	if n, err := strconv.ParseInt(strings.ReplaceAll(s.def, "_", ""), 10, 64); err == nil && s.number != nil {
		return n
	}
	return s.def
}

// schemaOfScalar allows, beside what the shape does, a reference to the environment.
func schemaOfScalar(s shape) *jsonschema.Schema {
	var list []*jsonschema.Schema
	if s.number != nil {
		list = append(list, &jsonschema.Schema{Type: "integer", Minimum: number(s.number[0]), Maximum: number(s.number[1])})
	}
	if s.boolean {
		list = append(list, &jsonschema.Schema{Type: "boolean"})
	}
	var enum []any
	for _, w := range s.words {
		if w != "side:SINK" {
			enum = append(enum, w)
		}
	}
	switch {
	case len(enum) > 0:
		list = append(list, &jsonschema.Schema{Enum: enum}, &jsonschema.Schema{Type: "string", Pattern: or(s.pattern, referencePattern)})
	case s.pattern != "":
		list = append(list, &jsonschema.Schema{Type: "string", Pattern: or(s.pattern, referencePattern)})
	case s.boolean && s.kind != "expression":
		list = append(list, &jsonschema.Schema{Type: "string", Pattern: referencePattern})
	case s.kind == "text" || s.kind == "secret":
		list = append(list, &jsonschema.Schema{Type: "string"}, &jsonschema.Schema{Type: "number"}, &jsonschema.Schema{Type: "boolean"})
	default:
		list = append(list, &jsonschema.Schema{Type: "string"})
	}
	if len(list) == 1 {
		return list[0]
	}
	return &jsonschema.Schema{AnyOf: list}
}

func or(pattern, other string) string {
	if pattern == "" {
		return other
	}
	return pattern + "|" + other
}

func number(n int64) json.Number { return json.Number(strconv.FormatInt(n, 10)) }
