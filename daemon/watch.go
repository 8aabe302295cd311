package daemon

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/streamproc/streamproc/config"
)

const (
	watchDebounce = 250 * time.Millisecond // an editor or a deployment writes several files, and one in several steps
	watchPoll     = 10 * time.Second       // some file systems tell nothing
	watchedBytes  = 256 << 20              // of one file; a larger one is none of ours
)

// Watch calls changed whenever the contents of a file have changed, until ctx ends. It looks at folders, so that a file that
// is renamed into place, or a link that is turned to another folder, is noticed. files is asked anew each time.
func Watch(ctx context.Context, log *slog.Logger, files func() []string, changed func()) {
	events := make(<-chan fsnotify.Event)
	w, err := fsnotify.NewWatcher()
	if err != nil {
		log.Warn("changes of files are looked for every 10 s only", "error", err)
	} else {
		defer w.Close()
		events = w.Events
	}
	last := contents(files())
	poll := time.NewTicker(watchPoll)
	defer poll.Stop()
	var quiet <-chan time.Time // fires once the events have calmed down
	for {
		if w != nil {
			watchFolders(w, files())
		}
		select {
		case <-ctx.Done():
			return
		case <-events:
			quiet = time.After(watchDebounce)
			continue
		case <-quiet:
			quiet = nil
		case <-poll.C:
		}
		if now := contents(files()); now != last {
			last = now
			changed()
		}
	}
}

// watchFolders watches the folders that files stand in.
func watchFolders(w *fsnotify.Watcher, files []string) {
	watched := w.WatchList()
	for _, file := range files {
		if dir := filepath.Dir(file); !slices.Contains(watched, dir) {
			if w.Add(dir) == nil { // the poll looks into what cannot be watched
				watched = append(watched, dir)
			}
		}
	}
}

// contents is the digest of files. One that is not there counts as that.
func contents(files []string) string {
	all := sha256.New()
	for _, name := range files {
		one := sha256.New()
		f, err := os.Open(name)
		if err == nil {
			_, err = io.Copy(one, io.LimitReader(f, watchedBytes))
			_ = f.Close()
		}
		_, _ = fmt.Fprintf(all, "%q %x %t\n", name, one.Sum(nil), err == nil)
	}
	return string(all.Sum(nil))
}

// Files returns the files of the plugins that run: modules, scripts and what stands beside scripts, which they may
// import.
func (d *Daemon) Files() (files []string) {
	for _, r := range d.running() {
		for _, use := range usesOf(r.built.Load().cfg.Steps) {
			files = append(files, filesOfPlugin(use.Plugin)...)
		}
	}
	slices.Sort(files)
	return slices.Compact(files)
}

func filesOfPlugin(p *config.Plugin) []string {
	if p.Script() == "" {
		return slices.DeleteFunc([]string{p.Wasm, p.Signer}, func(name string) bool { return name == "" })
	}
	files, patterns := []string{p.Script()}, []string{"*.ts", "*.js", "*.mjs", "*.json"}
	switch {
	case p.Py != "":
		patterns = []string{"*.py"}
	case p.Lua != "":
		patterns = []string{"*.lua"}
	}
	for _, pattern := range patterns {
		beside, _ := filepath.Glob(filepath.Join(filepath.Dir(files[0]), pattern)) //nolint:errcheck // the pattern is ours
		files = append(files, beside...)
	}
	return files
}
