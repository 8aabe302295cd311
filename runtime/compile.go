package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime/metrics"
	"strconv"
	"time"
)

// The engine's compiler honours no context, and a module within all caps may still be dear. So it is compiled by a child
// process into the cache, from which this process takes the code; the child ends at its limits.

// compileLimits bound one compilation.
type compileLimits struct {
	cpu    time.Duration
	memory int64
}

func limitsFor(large bool) compileLimits {
	if large {
		return compileLimits{2 * time.Minute, 2 << 30}
	}
	return compileLimits{10 * time.Second, 1 << 30}
}

const (
	// compileWait is how many times the CPU limit a child may take by the clock: on a busy machine it has to wait.
	compileWait = 6
	// memoryBeat is how often a child looks at its memory.
	memoryBeat = 20 * time.Millisecond
	// complaintBytes is how much of what a child says is kept.
	complaintBytes = 4 << 10
	exitMemory     = 3
	exitPlace      = 4
)

// errCompile is a module that was given up.
var errCompile = errors.New("compiling it takes more than it may")

// compileInChild has a child compile a module into the cache.
func (rt *Runtime) compileInChild(ctx context.Context, wasm []byte, limits compileLimits) error {
	timed, cancel := context.WithTimeout(ctx, compileWait*limits.cpu)
	defer cancel()
	args := append(rt.compiler[1:len(rt.compiler):len(rt.compiler)],
		rt.cache.dir, strconv.Itoa(int(limits.cpu/time.Second)), strconv.FormatInt(limits.memory, 10))
	child := exec.CommandContext(timed, rt.compiler[0], args...) //nolint:gosec // our own binary
	said := &complaint{}
	child.Stdin, child.Stderr = bytes.NewReader(wasm), said
	child.Env = []string{} // nothing of ours is its business
	child.WaitDelay = time.Second
	err := child.Run()
	switch st := child.ProcessState; {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case st == nil:
		return fmt.Errorf("starting the compiler: %w", err)
	case st.ExitCode() == exitMemory:
		return fmt.Errorf("%w: %d MiB of memory", errCompile, limits.memory>>20)
	case st.ExitCode() == exitPlace:
		return fmt.Errorf("the plugin cache %s does not take the compiled module: %s; make room there, or set XDG_CACHE_HOME to another folder", rt.cache.dir, said)
	case st.ExitCode() == 1:
		return fmt.Errorf("the engine refuses the module: %s", said)
	case st.ExitCode() < 0: // killed, by the system or by us
		return fmt.Errorf("%w: %v of processor time", errCompile, limits.cpu)
	}
	return fmt.Errorf("the compiler ended with %w: %s", err, said)
}

// complaint keeps the beginning of what a child says.
type complaint struct{ text []byte }

func (c *complaint) Write(b []byte) (int, error) {
	c.text = append(c.text, b[:min(len(b), complaintBytes-len(c.text))]...)
	return len(b), nil
}

func (c *complaint) String() string { return escape(bytes.TrimSpace(c.text), complaintBytes) }

// CompileModule is what the command in Options.Compiler runs, with three arguments: it compiles the metered module in r
// into a folder, within so many seconds of processor time and bytes of memory. It returns the exit code.
func CompileModule(ctx context.Context, args []string, r io.Reader, stderr io.Writer) int {
	err := compileAlone(ctx, args, r)
	if err == nil {
		return 0
	}
	_, _ = fmt.Fprintln(stderr, err)
	if errors.As(err, new(*fs.PathError)) { // the module is sound, and its code has no place
		return exitPlace
	}
	return 1
}

func compileAlone(ctx context.Context, args []string, r io.Reader) error {
	if len(args) != 3 {
		return errors.New("a folder, seconds and bytes are wanted")
	}
	seconds, err1 := strconv.Atoi(args[1])
	memory, err2 := strconv.ParseInt(args[2], 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if err := limitCPU(time.Duration(seconds) * time.Second); err != nil {
		return fmt.Errorf("limiting the processor time: %w", err)
	}
	wasm, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("reading the module: %w", err)
	}
	c, err := openCache(args[0], true)
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() {
		_, err := newEngine(ctx, c).CompileModule(ctx, wasm)
		done <- err
	}()
	for beat := time.NewTicker(memoryBeat); ; {
		select {
		case err := <-done:
			return err
		case <-beat.C:
			if memoryInUse() > uint64(memory) {
				os.Exit(exitMemory)
			}
		}
	}
}

// memoryInUse is what the Go runtime has from the system and has not given back.
func memoryInUse() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64() - s[1].Value.Uint64()
}
