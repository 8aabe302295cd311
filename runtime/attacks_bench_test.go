package runtime

import (
	"log/slog"
	"syscall"
	"testing"
	"time"

	"github.com/streamproc/streamproc/internal/hostile"
)

func processorTime(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkAttacks is what each attack costs behind a record that is none: the call that fails, the second in a fresh instance,
// and the instances. cpu-ms is the processor time of the whole process, peak-MiB the most by which it grew over what it was
// without the guest, resident-MiB by how much it has grown after all.
func BenchmarkAttacks(b *testing.B) {
	rt := newRuntime(b, Options{Logger: slog.New(slog.DiscardHandler)})
	for _, a := range hostile.Attacks() {
		b.Run(a.Name, func(b *testing.B) {
			p, err := rt.Load(b.Context(), Source{Name: "p", Bytes: a.Module})
			if err != nil {
				b.Fatal(err)
			}
			defer p.Close(b.Context())
			before := footprint(b)
			g := startGuest(b, p, Filter, Events{})
			process(b, g, batch("k"))
			cpu := processorTime(b)
			n := 0
			forgetPeak(b)
			for b.Loop() {
				process(b, g, batch("k", "x"))
				n++
			}
			cpu = processorTime(b) - cpu
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(peak(b)-before.resident)/(1<<20), "peak-MiB")
			b.ReportMetric(float64(cpu.Microseconds())/1000/float64(n), "cpu-ms")
			b.ReportMetric(float64(footprint(b).resident-before.resident)/(1<<20), "resident-MiB")
		})
	}
}

// BenchmarkUnits is what a unit of fuel costs in the dearest ways to spend it that are known, the first touch of the memory and
// a fresh instance included.
func BenchmarkUnits(b *testing.B) {
	rt := newRuntime(b, Options{Logger: slog.New(slog.DiscardHandler)})
	for _, a := range hostile.Dear() {
		b.Run(a.Name, func(b *testing.B) {
			p, err := rt.Load(b.Context(), Source{Name: "p", Bytes: a.Module})
			if err != nil {
				b.Fatal(err)
			}
			defer p.Close(b.Context())
			var spent int64
			g := startGuest(b, p, Filter, Events{Fuel: func(units int64) { spent += units }})
			process(b, g, batch("k"))
			cpu, n := processorTime(b), 0
			spent = 0
			for b.Loop() {
				records := batch("k", "x")
				process(b, g, records)
				if got := fates(records); got != "k !"+a.Reason {
					b.Fatalf("fates are %s; cause %+v", got, records.Records[1].Cause)
				}
				n++
			}
			cpu = processorTime(b) - cpu
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(cpu.Nanoseconds())/float64(spent), "ns/unit")
			b.ReportMetric(float64(cpu.Microseconds())/1000/float64(n), "cpu-ms")
		})
	}
}
