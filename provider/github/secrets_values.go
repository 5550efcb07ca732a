package github

import (
	"errors"
	"fmt"

	"github.com/rota-dev/rota"
)

// values are the secrets with the values they are to have, in the order in which
// they're written: the whole credential first.
func (t *Secrets) values(c rota.Credential) ([]value, error) {
	refuse := func(err error) ([]value, error) {
		return nil, t.Connection.refuse("write secrets of "+t.place().String(), "correct the target's secrets", err)
	}
	var values []value
	if t.Document != "" {
		text, err := t.DocumentFormat.Render(c)
		if err != nil {
			return refuse(fmt.Errorf("%s: %w", t.Document, err))
		}
		values = append(values, value{t.Document, text})
	}
	if len(t.Fields.Names()) > 0 {
		texts, err := t.Fields.Render(c)
		if err != nil {
			return refuse(err)
		}
		for _, name := range t.Fields.Names() {
			values = append(values, value{name, texts[name]})
		}
	}
	if len(values) == 0 {
		return refuse(errors.New("there's nothing to write"))
	}
	return values, nil
}

// names are the names of all secrets, in the order in which they're written.
func (t *Secrets) names() []string {
	names := t.Fields.Names()
	if t.Document != "" {
		names = append([]string{t.Document}, names...)
	}
	return names
}

// Accept implements [rota.Accepter]: it reports whether GitHub would take the
// credential's values, without asking it.
func (t *Secrets) Accept(c rota.Credential) error {
	values, err := t.values(c)
	if err != nil {
		return err
	}
	return t.refused(values)
}

// refused is the error for the first value that GitHub wouldn't take.
func (t *Secrets) refused(values []value) error {
	for _, v := range values {
		if err := t.Connection.unacceptable("write secret "+v.name+" of "+t.place().String(), v); err != nil {
			return err
		}
	}
	return nil
}

// unacceptable is the error for a value that GitHub wouldn't take, where another
// might do.
func (c *Connection) unacceptable(op string, v value) error {
	e := &rota.Error{System: c.system(), Connection: c.name, Op: op, Class: rota.ClassRegenerate}
	switch {
	case v.text == "":
		e.Err, e.Remedies = errors.New("its value is empty"), rota.Configure("", "a field that has a value")
	case len(v.text) > maxValue:
		e.Err, e.Remedies = fmt.Errorf("its value has %d bytes, and GitHub takes %d", len(v.text), maxValue), rota.Configure("", "a shorter value")
	default:
		return nil
	}
	return e
}
