package py

import (
	"path/filepath"
	"regexp"
	"strings"

	"github.com/streamproc/streamproc/runtime/script"
)

// extension is that of every file of a script.
const extension = ".py"

// Read reads a script, and of the files beside it those that it may import. Nothing outside the script's folder is read,
// whatever it imports or links to.
func Read(file string) (*Script, error) {
	files, digest, err := script.Read(file, extension, imports)
	if err != nil {
		return nil, err
	}
	return &Script{name: filepath.Base(file), files: files, digest: digest}, nil
}

// importing finds what may be an import, in text too: a file that is read and not imported does no harm.
var importing = regexp.MustCompile(`(?m)(?:^|[;:])[ \t]*(?:from[ \t]+([A-Za-z_]\w*)[ \t]+import\b|import[ \t]+([^\n;#]+))`)

// imports lists the files that a text may import, if they stand beside it.
func imports(text string) (files []string) {
	for _, m := range importing.FindAllStringSubmatch(text, -1) {
		for one := range strings.SplitSeq(m[1]+m[2], ",") {
			if words := strings.Fields(one); len(words) > 0 && !strings.ContainsAny(words[0], `./\`) {
				files = append(files, words[0]+extension)
			}
		}
	}
	return files
}
