package config

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
	"github.com/rota-dev/rota/rotation"
)

// Resolve implements [provider.Source].
func (w *wiring) Resolve(ctx context.Context, t Text) (string, error) {
	value, err := w.resolve(ctx, t)
	if err != nil && w.unused && t.Login && ctx.Err() == nil {
		w.missing = append(w.missing, err)
		return missing, nil
	}
	return value, err
}

// missing stands for a part of a login that nobody logs in with.
const missing = "unknown"

func (w *wiring) resolve(ctx context.Context, t Text) (string, error) {
	return t.Expand(func(ref provider.Reference) (string, error) {
		value, err := w.lookUp(ctx, ref, t)
		if err != nil {
			return "", w.unresolved(ref, t, err)
		}
		return value, nil
	})
}

// unresolved says where the reference is that has no value, and why.
func (w *wiring) unresolved(ref provider.Reference, t Text, err error) error {
	return fmt.Errorf("%s:%d:%d: %s: %s %w", cmp.Or(t.At.File, w.file.Path), t.At.Line, t.At.Column, t.Path, ref, err)
}

// lookUp returns the value of one reference. Its error's text continues after
// the reference's own text.
func (w *wiring) lookUp(ctx context.Context, ref provider.Reference, t Text) (string, error) {
	if ref.Kind == provider.RefSecret {
		return w.lookUpSecret(ctx, ref)
	}
	return w.lookUpPlain(ref, t)
}

// lookUpPlain is lookUp for references that need no store: variables and files.
func (w *wiring) lookUpPlain(ref provider.Reference, t Text) (string, error) {
	switch ref.Kind {
	case provider.RefFile:
		return w.lookUpFile(ref, t)
	case provider.RefKubernetes:
		return w.lookUpKubernetes(ref, t)
	}
	value, ok := w.env.LookupEnv(ref.Name)
	if !ok {
		return "", rota.WithRemedies(errors.New("is not set"), rota.Outside("export "+ref.Name+"=…"))
	}
	return notEmpty(value)
}

func notEmpty(value string) (string, error) {
	switch {
	case value == "":
		return "", rota.WithRemedies(errors.New("is empty"), rota.Outside("give it a value"))
	case strings.ContainsRune(value, 0):
		return "", rota.WithRemedies(errors.New("has a zero byte in it"), rota.Outside("give it a value that is text"))
	}
	return value, nil
}

// lookUpFile reads a file and trims the trailing newline. A file that others
// can read gets a warning rather than an error, because container engines mount
// secrets that way.
func (w *wiring) lookUpFile(ref provider.Reference, t Text) (string, error) {
	path := ref.Name
	if !filepath.IsAbs(path) {
		path = filepath.Join(w.file.folder(t.At), path)
	}
	data, mode, err := w.env.ReadFile(path)
	switch {
	case err != nil:
		return "", rota.WithRemedies(fmt.Errorf("can't be read: %w", err), rota.Outside(unreadable(err)))
	case mode&w.open(path) != 0 && !t.Public:
		w.warnings.suggest(t.At, t.Path, rota.Outside("chmod 600 on the file; mode 0400 for a container's secret"), "%s is open to others: mode %#o", ref, mode.Perm())
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	return notEmpty(text)
}

// open are the permissions that let others read a file. systemd gives a service its
// credentials by a list of users, whose mask shows as the group's permissions, in a
// folder that nobody else may enter.
func (w *wiring) open(path string) fs.FileMode {
	folders := []string{"/run/credentials"}
	if dir, ok := w.env.LookupEnv("CREDENTIALS_DIRECTORY"); ok && filepath.IsAbs(dir) {
		folders = append(folders, filepath.Clean(dir))
	}
	for _, dir := range folders {
		if strings.HasPrefix(filepath.Clean(path), dir+string(filepath.Separator)) {
			return 0o037
		}
	}
	return 0o077
}

// unreadable is what to do about a file that can't be read.
func unreadable(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "create it, or correct the path: a relative one starts at the configuration's folder"
	case errors.Is(err, fs.ErrPermission):
		return "let the user that Rota runs as read it"
	}
	return "make it a file that Rota can read"
}

// lookUpSecret reads a field of another secret's current version.
func (w *wiring) lookUpSecret(ctx context.Context, ref provider.Reference) (string, error) {
	c, err := w.current(ctx, ref.Name)
	if err != nil {
		return "", fmt.Errorf("can't be read: %w", err)
	}
	return notEmpty(c.Field(ref.Field))
}

// errNoCurrent means that a secret has no value yet.
var errNoCurrent = errors.New("has no current version")

// current returns the current credential of a secret in the file. It is read
// from the secret's store once and then cached.
func (w *wiring) current(ctx context.Context, name string) (rota.Credential, error) {
	return once(w.credentials, name, func() (rota.Credential, error) {
		for _, s := range w.file.Document.Secrets {
			if s.Name.Text != name {
				continue
			}
			store, err := w.store(ctx, s)
			if err != nil {
				return rota.Credential{}, err
			}
			contents, err := store.Describe(ctx)
			if err != nil {
				return rota.Credential{}, err
			}
			version, ok := rota.Find(contents.Versions, rota.LabelCurrent)
			if !ok {
				return rota.Credential{}, rota.WithRemedies(fmt.Errorf("%s %w", name, errNoCurrent), rotation.FirstCredential(name))
			}
			return store.Get(ctx, rota.GetRequest{Version: version.ID})
		}
		return rota.Credential{}, fmt.Errorf("%s: %w", name, rota.ErrNotFound) // already rejected by validation
	})
}
