package gitlab

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rota-dev/rota"
)

const (
	// minMasked is the shortest value that GitLab masks.
	minMasked = 8
	// maxValue is the longest value that GitLab takes, in characters.
	maxValue = 10_000
)

// unmaskable says why GitLab would refuse to mask a value, "" if it wouldn't. The
// value of a raw variable may have any characters but blanks and line breaks.
func unmaskable(value string) string {
	switch {
	case strings.ContainsFunc(value, unicode.IsSpace):
		return "it has a blank or a line break"
	case utf8.RuneCountInString(value) < minMasked:
		return fmt.Sprintf("it has fewer than %d characters", minMasked)
	}
	return ""
}

// Accept implements [rota.Accepter]: it reports whether GitLab would take the
// credential's values, without asking it.
func (t *Variables) Accept(c rota.Credential) error {
	wanted, err := t.values(c)
	if err != nil {
		return t.Connection.refuse("write variables of "+t.Place.String(), "correct the target's variables", err)
	}
	return t.refused(wanted)
}

// refused is the error for the first value that GitLab wouldn't take.
func (t *Variables) refused(wanted []write) error {
	for _, w := range wanted {
		op := "write variable " + w.key + " of " + t.Place.String()
		if why := unmaskable(w.want.value); w.want.masked && why != "" {
			return t.Connection.unacceptable(op, fmt.Errorf("GitLab can't mask its value: %s", why),
				rota.Configure("", "list "+w.key+" under unmasked if its value is no secret; otherwise give it a longer value without blanks"))
		}
		if n := utf8.RuneCountInString(w.want.value); n > maxValue {
			return t.Connection.unacceptable(op, fmt.Errorf("its value has %d characters, and GitLab takes %d", n, maxValue), rota.Configure("", "a shorter value"))
		}
	}
	return nil
}

// unacceptable is an error that another value might not have.
func (c *Connection) unacceptable(op string, err error, remedies []rota.Remedy) error {
	return &rota.Error{System: c.system(), Connection: c.name, Op: op, Class: rota.ClassRegenerate, Remedies: remedies, Err: err}
}
