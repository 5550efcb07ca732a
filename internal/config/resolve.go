package config

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/rota-dev/rota"
)

// reader resolves the texts of one part of the file, and keeps what went wrong
// so that all of it is said at once. No error of it holds a value.
type reader struct {
	ctx  context.Context
	w    *wiring
	errs []error
}

func (w *wiring) reader(ctx context.Context) *reader { return &reader{ctx: ctx, w: w} }

func (r *reader) err() error { return errors.Join(r.errs...) }

// text is a text's value; "" for one that the file does not give.
func (r *reader) text(t Text) string {
	value, err := r.w.resolve(r.ctx, t)
	if err != nil {
		r.errs = append(r.errs, err)
	}
	return value
}

// list are the values of a list.
func (r *reader) list(texts []Text) []string {
	var values []string
	for _, t := range texts {
		values = append(values, r.text(t))
	}
	return values
}

// texts are the values of a map.
func (r *reader) texts(m map[string]Text) map[string]string {
	values := make(map[string]string, len(m))
	for _, name := range sortedNames(m) {
		values[name] = r.text(m[name])
	}
	return values
}

// fields is a field map, which was checked with the file.
func (r *reader) fields(m map[string]Plain) rota.FieldMap {
	fields, err := rota.ParseFieldMap(plainTexts(m), nil)
	if err != nil {
		r.errs = append(r.errs, err)
	}
	return fields
}

// resolve puts a text together.
func (w *wiring) resolve(ctx context.Context, t Text) (string, error) {
	var b strings.Builder
	for _, p := range t.pieces {
		if p.ref == nil {
			b.WriteString(p.literal)
			continue
		}
		value, hint, err := w.lookUp(ctx, *p.ref, t)
		if err != nil {
			return "", fmt.Errorf("%s:%d:%d: %s: %s %w%s", w.file.Path, t.At.Line, t.At.Column, t.path, p.ref, err, hint)
		}
		b.WriteString(value)
	}
	return b.String(), nil
}

// lookUp gives the value of one reference, or an error that goes on after the
// reference's text, and a hint.
func (w *wiring) lookUp(ctx context.Context, ref reference, t Text) (value, hint string, err error) {
	if ref.kind == refSecret {
		value, err := w.lookUpSecret(ctx, ref)
		return value, "", err
	}
	return w.lookUpPlain(ref, t)
}

// lookUpPlain is lookUp for what needs no store: variables and files.
func (w *wiring) lookUpPlain(ref reference, t Text) (value, hint string, err error) {
	if ref.kind == refFile {
		return w.lookUpFile(ref, t)
	}
	value, ok := w.env.LookupEnv(ref.name)
	if !ok {
		return "", " (try: export " + ref.name + "=…)", errors.New("is not set")
	}
	return notEmpty(value)
}

func notEmpty(value string) (string, string, error) {
	switch {
	case value == "":
		return "", "", errors.New("is empty")
	case strings.ContainsRune(value, 0):
		return "", "", errors.New("has a zero byte in it")
	}
	return value, "", nil
}

// lookUpFile reads a file and cuts off the newline at its end. One that others
// may read is warned of, not refused: container engines mount secrets so.
func (w *wiring) lookUpFile(ref reference, t Text) (value, hint string, err error) {
	path := ref.name
	if !filepath.IsAbs(path) {
		path = filepath.Join(w.file.folder(), path)
	}
	data, mode, err := w.env.ReadFile(path)
	switch {
	case err != nil:
		return "", "", fmt.Errorf("can't be read: %w", err)
	case mode&0o077 != 0:
		w.warnings.add(t.At, "try: chmod 600 on the file; mode 0400 for a container's secret", "%s: %s is open to others: mode %#o", t.path, ref, mode.Perm())
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	return notEmpty(text)
}

// lookUpSecret reads a field of another secret's current version.
func (w *wiring) lookUpSecret(ctx context.Context, ref reference) (string, error) {
	c, err := w.current(ctx, ref.name)
	if err != nil {
		return "", fmt.Errorf("can't be read: %w", err)
	}
	value, _, err := notEmpty(c.Field(ref.field))
	return value, err
}

// current is the current credential of a secret of the file, from its store.
// It is read once.
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
				return rota.Credential{}, fmt.Errorf("%s has no current version (try: rota adopt %s, or rota rotate %s)", name, name, name)
			}
			return store.Get(ctx, rota.GetRequest{Version: version.ID})
		}
		return rota.Credential{}, fmt.Errorf("%s: %w", name, rota.ErrNotFound) // refused when the file was checked
	})
}
