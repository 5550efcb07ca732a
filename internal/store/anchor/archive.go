package anchor

import (
	"context"
	"encoding/json"
	"fmt"
)

// ObjectStore stores small files by name, as a bucket does.
type ObjectStore interface {
	// Name is for people, such as "s3 heads/rota-audit/".
	Name() string
	// Put stores a file durably. Storing the same file again is a no-op.
	Put(ctx context.Context, name string, content []byte) error
	// List returns what there is for Get, sorted by name. That includes what was
	// replaced or deleted since, if the store keeps it.
	List(ctx context.Context) ([]string, error)
	Get(ctx context.Context, listed string) ([]byte, error)
}

// Archive writes one file per head. In a bucket with object lock, nobody can
// remove one.
type Archive struct{ ObjectStore }

var _ Destination = Archive{}

// hashDigits is how many digits of a head's hash are in its file's name.
const hashDigits = 16

// Put writes a file whose name sorts by the entry's number. The hash is in the
// name, too: another head of the same entry, which a chain that was rolled back
// has, doesn't take the first one's place.
func (p Archive) Put(ctx context.Context, h Head) error {
	body, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return p.ObjectStore.Put(ctx, fmt.Sprintf("%019d-%.*s.json", h.Seq, hashDigits, h.Hash), body)
}

// Heads reads all files. If some of them aren't heads, it returns the others with
// a [*StrayError]: who put something into the bucket mustn't hide what's beside it.
func (p Archive) Heads(ctx context.Context) ([]Head, error) {
	names, err := p.List(ctx)
	if err != nil {
		return nil, err
	}
	var heads []Head
	var stray []string
	for _, name := range names {
		text, err := p.Get(ctx, name)
		if err != nil {
			return nil, err
		}
		var h Head
		if err := json.Unmarshal(text, &h); err != nil {
			stray = append(stray, p.Name()+name)
			continue
		}
		heads = append(heads, h)
	}
	return heads, strays(stray)
}
