package workshop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// shelf is what a plugin reads while it is tried: the keys and values of kv.json beside it, or nothing.
type shelf map[string]string

// Get implements runtime.Lookups.
func (s shelf) Get(_ context.Context, keys []string, most int, tell func(int, []byte, error)) error {
	for i, k := range keys {
		switch v, ok := s[k]; {
		case !ok:
			tell(i, nil, nil)
		case len(v) > most:
			tell(i, nil, fmt.Errorf("the value of %d bytes is over the limit of %d", len(v), most))
		default:
			tell(i, []byte(v), nil)
		}
	}
	return nil
}

// KVName is that of the file, beside a plugin, that holds what it may read.
const KVName = "kv.json"

func shelfBeside(plugin string) (shelf, error) {
	text, err := os.ReadFile(Beside(plugin, KVName))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading what the plugin may read: %w", err)
	}
	var s shelf
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf(`%s is not {"key": "value", …}, with the keys that the plugin asks for and texts as values: %w`, Beside(plugin, KVName), err)
	}
	return s, nil
}
