package abi

import (
	"bytes"
	"errors"
	"math"
	"testing"
)

func encode(t testing.TB, rows []Row, headers []Entry, mask uint32) []byte {
	t.Helper()
	data := int64(0)
	for _, r := range rows {
		data += int64(len(r.Key) + len(r.Value))
		for _, e := range headers {
			data += int64(len(e.Key) + len(e.Value))
		}
	}
	buf := make([]byte, InputLen(len(rows), data, len(rows)*len(headers)))
	w := NewWriter(buf, len(rows), mask)
	for i := range rows {
		w.Add(&rows[i])
		w.Entries(len(headers))
		for j, e := range headers {
			w.Entry(j, string(e.Key), e.Value)
		}
	}
	n, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return buf[:n]
}

func TestInputRoundTripKeepsNullAndEmptyApart(t *testing.T) {
	rows := []Row{
		{Key: []byte("k"), Value: []byte("value"), Timestamp: 7, Offset: 9, Partition: 3, Topic: 1},
		{Key: nil, Value: []byte{}, Timestamp: -5},
		{Key: []byte{}, Value: nil, Timestamp: math.MaxInt64},
	}
	headers := []Entry{{[]byte("a"), []byte("b")}, {[]byte(""), nil}}
	in, err := ParseInput(encode(t, rows, headers, AllColumns))
	if err != nil || in.Len() != 3 || in.Columns() != AllColumns {
		t.Fatalf("%v, %d records", err, in.Len())
	}
	for i, want := range rows {
		got, err := in.Row(i)
		if err != nil || !same(got.Key, want.Key) || !same(got.Value, want.Value) || got.Timestamp != want.Timestamp ||
			got.Offset != want.Offset || got.Partition != want.Partition || got.Topic != want.Topic {
			t.Errorf("row %d is %+v, %v; want %+v", i, got, err, want)
		}
		n := 0
		err = in.Entries(i, func(k, v []byte) {
			if !same(k, headers[n].Key) || !same(v, headers[n].Value) {
				t.Errorf("header %d of row %d is %q=%q", n, i, k, v)
			}
			n++
		})
		if err != nil || n != 2 {
			t.Errorf("%d headers, %v", n, err)
		}
	}
}

func same(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }

func TestMaskedColumnsAreNotCopied(t *testing.T) {
	rows := []Row{{Key: []byte("key"), Value: []byte("value")}}
	in, err := ParseInput(encode(t, rows, nil, Values))
	if err != nil {
		t.Fatal(err)
	}
	if r, _ := in.Row(0); r.Key != nil || string(r.Value) != "value" || in.Columns() != Values {
		t.Errorf("row is %+v", r)
	}
}

func TestWriterNeverWritesBeyondItsBuffer(t *testing.T) {
	for n := range 200 {
		whole := make([]byte, 400)
		w := NewWriter(whole[:n], 1, AllColumns)
		w.Add(&Row{Key: []byte("key"), Value: bytes.Repeat([]byte("v"), 30)})
		w.Entries(1)
		w.Entry(0, "name", []byte("header"))
		w.Finish()
		if !bytes.Equal(whole[n:], make([]byte, 400-n)) {
			t.Fatalf("%d bytes: wrote beyond", n)
		}
	}
}

func TestOutputRoundTrip(t *testing.T) {
	var a Answer
	a.Add(&Made{Source: 1, Value: []byte("v"), KeepKey: true, KeepHdrs: true, Timestamp: InheritTime, Output: 2})
	a.Add(&Made{Source: 4, Key: []byte("k"), Value: nil, Timestamp: 5, Headers: []Entry{{[]byte("h"), []byte("x")}}})
	buf := a.Bytes()
	o, err := ParseOutput(buf)
	if err != nil || o.Len() != 2 {
		t.Fatal(err)
	}
	d := o.Detach()
	var p Produced
	if err := o.At(0, &d, &p); err != nil || !p.InheritKey || string(p.Value) != "v" || p.Source != 1 || p.Output != 2 || !p.InheritHdrs {
		t.Errorf("%+v, %v", p, err)
	}
	if err := o.At(1, &d, &p); err != nil || string(p.Key) != "k" || p.Value != nil || p.Timestamp != 5 || p.HeaderCount != 1 {
		t.Errorf("%+v, %v", p, err)
	}
	if err := o.Entries(1, &d, func(k, v []byte) {
		if string(k) != "h" || string(v) != "x" {
			t.Errorf("header %q=%q", k, v)
		}
	}); err != nil {
		t.Error(err)
	}
	le.PutUint32(buf[HeaderSize+8:], 0x80000001)
	if err := o.At(0, &d, &p); !errors.Is(err, ErrMalformed) {
		t.Errorf("a reserved offset: %v", err)
	}
}

func FuzzParseOutput(f *testing.F) {
	var a Answer
	a.Add(&Made{Source: 0, Value: []byte("v"), Headers: []Entry{{[]byte("h"), nil}}})
	f.Add(a.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := ParseOutput(b)
		if err != nil {
			return
		}
		d := o.Detach()
		var p Produced
		for i := range o.Len() {
			if o.At(i, &d, &p) == nil {
				_ = o.Entries(i, &d, func(_, _ []byte) {})
			}
		}
	})
}

func FuzzParseInput(f *testing.F) {
	f.Add(encode(f, []Row{{Key: []byte("k"), Value: []byte("v")}}, []Entry{{[]byte("h"), nil}}, AllColumns))
	w := NewWriter(make([]byte, 200), 1, Keys)
	w.Project(2)
	w.Add(&Row{Value: []byte("abc")})
	w.Field(1, 1, 2)
	if _, err := w.Finish(); err != nil {
		f.Fatal(err)
	}
	f.Add(w.buf)
	f.Fuzz(func(t *testing.T, b []byte) {
		in, err := ParseInput(b)
		if err != nil {
			return
		}
		for i := range in.Len() {
			_, _ = in.Row(i)
			for f := range in.Fields() {
				_, _ = in.Field(i, f)
			}
			_ = in.Entries(i, func(_, _ []byte) {})
			in.SetVerdict(i, Drop)
		}
	})
}

// The benchmarks below settle the layout: 48-byte descriptors against columns, verdicts at stride 48 against dense.

var benchRow = Row{Key: []byte("key-0001"), Value: bytes.Repeat([]byte("v"), 227), Timestamp: 1, Offset: 2}

const benchRows = 1000

func BenchmarkDescriptors48(b *testing.B) {
	buf := make([]byte, InputLen(benchRows, benchRows*235, 0))
	for b.Loop() {
		w := NewWriter(buf, benchRows, AllColumns)
		for range benchRows {
			w.Add(&benchRow)
		}
		if _, err := w.Finish(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRows, "ns/record")
}

func BenchmarkDescriptors48WithoutKeys(b *testing.B) {
	buf := make([]byte, InputLen(benchRows, benchRows*235, 0))
	for b.Loop() {
		w := NewWriter(buf, benchRows, Values)
		for range benchRows {
			w.Add(&benchRow)
		}
		if _, err := w.Finish(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRows, "ns/record")
}

// BenchmarkColumns lays out the same fields as columns: 8 bytes of offset and length each for keys and values, then
// timestamps, offsets, partitions and topics.
func BenchmarkColumns(b *testing.B) {
	buf := make([]byte, InputLen(benchRows, benchRows*235, 0))
	for b.Loop() {
		at := HeaderSize + benchRows*40
		for i := range benchRows {
			le.PutUint32(buf[32+i*8:], uint32(at))
			le.PutUint32(buf[36+i*8:], uint32(len(benchRow.Key)))
			at += copy(buf[at:], benchRow.Key)
			le.PutUint32(buf[32+8*benchRows+i*8:], uint32(at))
			le.PutUint32(buf[36+8*benchRows+i*8:], uint32(len(benchRow.Value)))
			at += copy(buf[at:], benchRow.Value)
			le.PutUint64(buf[32+16*benchRows+i*8:], uint64(benchRow.Timestamp))
			le.PutUint64(buf[32+24*benchRows+i*8:], uint64(benchRow.Offset))
			le.PutUint32(buf[32+32*benchRows+i*4:], benchRow.Partition)
			le.PutUint16(buf[32+36*benchRows+i*2:], benchRow.Topic)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRows, "ns/record")
}

func BenchmarkVerdictsAtStride48(b *testing.B) {
	buf, dst := make([]byte, HeaderSize+benchRows*RecordSize), make([]Verdict, benchRows)
	for b.Loop() {
		if err := Verdicts(dst, buf, RecordSize); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRows, "ns/record")
}

func BenchmarkVerdictsDense(b *testing.B) {
	buf, dst := make([]byte, benchRows), make([]Verdict, benchRows)
	for b.Loop() {
		copy(dst, buf)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRows, "ns/record")
}

func TestFieldsStandBehindTheirDescriptor(t *testing.T) {
	for _, mask := range []uint32{Keys, AllColumns} {
		rows := []Row{{Value: []byte(`{"a":1,"b":22}`), Key: []byte("k")}, {Value: nil}, {Value: []byte(`{"b":3}`)}}
		buf := make([]byte, InputLen(3, 100, 3))
		w := NewWriter(buf, 3, mask)
		w.Project(2)
		for i := range rows {
			w.Add(&rows[i])
			w.Entries(1)
			w.Entry(0, "h", []byte("x"))
			switch i {
			case 0:
				w.Field(0, 5, 6)
				w.Field(1, 11, 13)
			case 2:
				w.Field(1, 5, 6)
			}
		}
		n, err := w.Finish()
		if err != nil {
			t.Fatal(err)
		}
		in, err := ParseInput(buf[:n])
		if err != nil || in.Fields() != 2 {
			t.Fatal(in.Fields(), err)
		}
		for i, want := range [][2]string{{"1", "22"}, {}, {"", "3"}} {
			for f := range 2 {
				if got, err := in.Field(i, f); err != nil || string(got) != want[f] || (got == nil) != (want[f] == "") {
					t.Errorf("field %d of record %d is %q, %v", f, i, got, err)
				}
			}
			if r, err := in.Row(i); err != nil || !same(r.Key, rows[i].Key) || mask&Values != 0 && !same(r.Value, rows[i].Value) {
				t.Errorf("row %d is %+v, %v", i, r, err)
			}
		}
		if _, err := in.Field(0, 2); !errors.Is(err, ErrMalformed) {
			t.Errorf("a field that there is not: %v", err)
		}
	}
}

func TestAWriterRefusesAFieldThatIsNoneOfTheValue(t *testing.T) {
	for _, f := range [][3]int{{1, 0, 1}, {-1, 0, 1}, {0, 2, 1}, {0, 0, 4}} {
		w := NewWriter(make([]byte, 200), 1, Keys)
		w.Project(1)
		w.Add(&Row{Value: []byte("abc")})
		w.Field(f[0], uint32(f[1]), uint32(f[2]))
		if _, err := w.Finish(); err == nil {
			t.Errorf("%v is taken", f)
		}
	}
}
