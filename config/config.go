// Package config reads what users write: YAML with line and column, checked as a whole, into plain structs in which every
// default is filled in and every reference resolved. It is the only door to yaml.v3.
package config

import (
	"log/slog"
	"time"
)

// Config is a whole configuration.
type Config struct {
	Plugins   map[string]*Plugin
	Kafka     map[string]*Kafka
	Redis     map[string]*Redis
	Pipelines []*Pipeline // in the order of the files
	Admin     Admin
	Telemetry Telemetry
	Warnings  Problems // what is no error, and yet wants a look
	Instance  string   // of this process among those that share its work; "": to be found out

	places map[any]at // where plugins, their uses and TLS are written
}

// Kafka is one cluster.
type Kafka struct {
	Name     string
	Brokers  []string
	ClientID string
	TLS      *TLS // nil: plaintext
	SASL     SASL
}

// TLS is how a connection is secured. Files are paths as written, relative to the file that names them.
type TLS struct {
	CAFile, CertFile, KeyFile, ServerName string
	InsecureSkipVerify                    bool
}

// SASL is a login; Mechanism is "", PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
type SASL struct {
	Mechanism, Username string
	Password            Secret
}

// Redis is one store for state.
type Redis struct {
	Name     string
	Addrs    []string
	Master   string // the sentinels at Addrs watch it; "": there are none
	Username string
	Password Secret
	DB       int
	TLS      *TLS
}

// Plugin is one module.
type Plugin struct {
	Name   string
	Wasm   string // path, resolved; or
	JS     string // path of a script, resolved; or
	Py     string // path of a script in Python, resolved; or
	Lua    string // path of a script in Lua, resolved; or
	OCI    string // HOST/NAME@sha256:…
	Signer string // path of the public key that the module must be signed with, resolved; "": none
	ABI    string // what the module speaks; "": as its imports and exports say
	SHA256 string // hex; "": not pinned
	Limits PluginLimits
	Engine Engine // of a script in Python

	Capabilities []string // what it is given of the world: clock
	KV           *KV      // what it may read; nil: nothing
	Metrics      []string // names of its counters, by the numbers that it knows them by
}

// Script is the path of the script, if the plugin is one.
func (p *Plugin) Script() string { return p.JS + p.Py + p.Lua }

// KV is what a plugin may read: the strings of a Redis under a prefix.
type KV struct {
	Store    *Redis
	Prefix   string
	Prefetch string // a path: what a record will be looked up by; "": not known beforehand
}

// Engine is a module that runs scripts, by its digest: it is not ours.
type Engine struct {
	Wasm   string // path, resolved
	SHA256 string // hex
}

// PluginLimits cage a plugin. A zero means the default of the language.
type PluginLimits struct {
	MemoryBytes, OutputBytes int64
	Fuel                     int64 // units for one record
	Depth                    int   // calls within calls
	Outputs                  int   // of one record
	LogLines                 int   // a second, of one instance
	Traps                    int   // records in a row
	Structure                string
}

// Pipeline is one path from topics to topics.
type Pipeline struct {
	Name, Description string
	Of                string // the pipeline of the file that this is a part of; "": it is one itself
	Workers           int
	ExactlyOnce       bool // outputs and offsets of a checkpoint are one transaction
	CommitInterval    time.Duration
	Source            Source
	Steps             []Step
	Sinks             []*Sink // in the order of the file
	DLQ               *Sink
	Limits            RecordLimits
	Retry             Retry
	InFlightBytes     int64
	RecordsPerSecond  int // of all workers together; 0: as fast as they go
}

// Source is what a pipeline reads.
type Source struct {
	Kafka          *Kafka
	Topics         []string
	Internal       bool     // Topics are written by another part of the pipeline
	Like           []string // then: the topics that they are made after
	Group          string
	Latest         bool
	StartAt        time.Time // zero: earliest, or latest
	SessionTimeout time.Duration
	Consumer       bool // group_protocol: consumer; the session timeout is the brokers'
	PollRecords    int
	PollBytes      int
	Bytes          bool // values are not JSON
}

// Sink is a topic that a pipeline writes.
type Sink struct {
	Name        string
	Kafka       *Kafka
	Topic       string
	Key         string // a path; "": the record's own key
	Compression string
	Linger      time.Duration
	Internal    bool // another part of the pipeline reads it
}

// RecordLimits bound one record. A value nests at most JSONDepth deep where a step looks into it.
type RecordLimits struct{ ValueBytes, KeyBytes, HeaderBytes, Headers, JSONDepth int }

// Retry bounds the attempts on one record.
type Retry struct {
	Attempts int
	Min, Max time.Duration
}

// Step is one step: exactly one of its verbs is set.
type Step struct {
	Name      string
	OnError   string
	Filter    *Filter
	Transform *PluginUse
	Dedup     *Dedup
	Reorder   *Reorder
	Route     *Route
	Rekey     *Rekey // not of the file: a step of scope global brings it along
}

// Rekey gives records the key by which they come together in one partition, or their own one back.
type Rekey struct{ Key string } // a path; "": their own

// Verb is the name of the step's verb.
func (s *Step) Verb() string {
	switch {
	case s.Filter != nil:
		return "filter"
	case s.Transform != nil:
		return "transform"
	case s.Dedup != nil:
		return "dedup"
	case s.Reorder != nil:
		return "reorder"
	case s.Rekey != nil:
		return "rekey"
	}
	return "route"
}

// Filter keeps what an expression or a plugin says.
type Filter struct {
	Expr   string
	Plugin *PluginUse
}

// PluginUse is a plugin with the configuration that it is given, as JSON, and the sinks that it may write to by name.
type PluginUse struct {
	Plugin   *Plugin
	Config   []byte
	Outputs  []*Sink
	LookBack int64   // how many offsets before a record its answer may rest on; 0: none
	Kept     int64   // bytes that the records kept for LookBack may take
	Shadow   float64 // share of the records on which a new one runs beside the old one first; 0: none
}

// Dedup drops what has been there before.
type Dedup struct {
	Store         *Redis
	Global        bool // duplicates are looked for in all partitions
	Key           string
	Window        time.Duration
	Mode          string // drop, tag, observe or side
	Side          *Sink
	OnUnavailable string // stall, pass or fail
	OnStateLoss   string // rebuild, halt or accept
}

// Reorder restores order.
type Reorder struct {
	Store       *Redis
	Global      bool // a key may lie in several partitions
	Key         string
	Sequence    string // a path; or
	Time        string // a path
	FirstAny    bool
	First       int64
	MaxWait     time.Duration
	ForgetAfter time.Duration // not below MaxWait
	MaxBuffered int
	OnGap       string // skip, dlq or halt
	Late        string // dlq, drop, pass or side
	Side        *Sink
	IdleTimeout time.Duration
	MaxFuture   time.Duration
	OnStateLoss string
}

// Route chooses a sink.
type Route struct {
	Rules     []Rule
	Otherwise *Sink // nil: filtered
}

// Rule is one branch of a route.
type Rule struct {
	When  string
	Steps []Step
	To    *Sink
}

// Admin is the HTTP endpoint of the daemon.
type Admin struct {
	Listen   string
	Token    Secret
	Debug    bool
	Insecure bool
	Hosts    []string
}

// Telemetry is what the daemon says of itself.
type Telemetry struct{ LogLevel, LogFormat string }

// Secret is text that is never shown.
type Secret string

const hidden = "***"

func (Secret) String() string { return hidden }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return hidden }

// MarshalText hides the secret in JSON and YAML.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// Reveal returns the secret itself, for the connection that needs it.
func (s Secret) Reveal() string { return string(s) }
