package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/rota-dev/rota/provider"
)

// Sum returns the hash of the file as read, such as sha256:9f86…. With included
// files, it's the hash of the hashes of all files.
func (f *File) Sum() string {
	sum := sha256.Sum256(f.sources[0].data)
	if len(f.sources) > 1 {
		all := sha256.New()
		for _, s := range f.sources {
			fmt.Fprintf(all, "%x\n", sha256.Sum256(s.data))
		}
		all.Sum(sum[:0])
	}
	return fmt.Sprintf("sha256:%x", sum)
}

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
		value, err := w.lookUpPlain(ref.Reference, Text{At: Pos{File: ref.file}})
		fmt.Fprintf(h, "%s %s %q %t\n", ref, ref.file, value, err == nil)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
