package config

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"slices"

	"github.com/rota-dev/rota/provider"
)

// Unchanged reports whether the file on disk is still the one that was read.
func (f *File) Unchanged() bool {
	data, err := os.ReadFile(f.Path)
	return err == nil && bytes.Equal(data, f.data)
}

// Sum returns the hash of the file as read, such as sha256:9f86….
func (f *File) Sum() string { return fmt.Sprintf("sha256:%x", sha256.Sum256(f.data)) }

// Values returns a fingerprint of the current values of the file's references.
// When it changes, the wired values are out of date: someone changed a password
// in a file, or a secret that a connection logs in with was rotated. version
// returns a secret's current version, or "" if it has none.
func (f *File) Values(env Environment, version func(secret string) (string, error)) (string, error) {
	w := newWiring(f, env)
	h := sha256.New()
	for _, ref := range f.references {
		if ref.Kind == provider.RefSecret {
			now, err := version(ref.Name)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(h, "%s %q\n", ref, now)
			continue
		}
		value, err := w.lookUpPlain(ref, Text{})
		fmt.Fprintf(h, "%s %q %t\n", ref, value, err == nil)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// distinct returns the references of all texts, in order and without
// duplicates.
func distinct(texts []Text) []provider.Reference {
	var all []provider.Reference
	for _, t := range texts {
		all = append(all, t.References()...)
	}
	slices.SortFunc(all, func(a, b provider.Reference) int { return cmp.Compare(a.String(), b.String()) })
	return slices.Compact(all)
}
