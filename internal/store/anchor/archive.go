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
	// List returns all names, sorted.
	List(ctx context.Context) ([]string, error)
	Get(ctx context.Context, name string) ([]byte, error)
}

// Archive writes one file per head. With object lock enabled, nobody can remove
// one.
type Archive struct{ ObjectStore }

var _ Destination = Archive{}

// Put writes a file whose name sorts by the entry's number.
func (p Archive) Put(ctx context.Context, h Head) error {
	body, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return p.ObjectStore.Put(ctx, fmt.Sprintf("%019d.json", h.Seq), body)
}

// Heads reads all files.
func (p Archive) Heads(ctx context.Context) ([]Head, error) {
	names, err := p.List(ctx)
	if err != nil {
		return nil, err
	}
	var heads []Head
	for _, name := range names {
		text, err := p.Get(ctx, name)
		if err != nil {
			return nil, err
		}
		var h Head
		if err := json.Unmarshal(text, &h); err != nil {
			return nil, fmt.Errorf("%s%s: not a head of the audit", p.Name(), name)
		}
		heads = append(heads, h)
	}
	return heads, nil
}
