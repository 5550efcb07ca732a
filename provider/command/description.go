package command

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/rota-dev/rota"
)

// A description says the same as [rota.Traits], in the words of rota.yaml.
func (d Description) traits() rota.Traits {
	return rota.Traits{
		Kind: d.Kind, IssuerChooses: d.IssuerChooses, FromCurrent: d.FromCurrent, Limit: d.Limit, TestSuccesses: d.TestSuccesses,
		ConsistencyDelay: time.Duration(d.Settle), Lifetime: time.Duration(d.Lifetime),
	}
}

func (d Description) withDefaults(command []string) Description {
	if d.Kind == "" && len(command) > 0 {
		d.Kind = "credential of " + filepath.Base(command[0])
	}
	if d.ID == "" {
		d.ID = "id"
	}
	if d.TestSuccesses == 0 {
		d.TestSuccesses = 3
	}
	return d
}

// sorted is the description with its lists in order and never nil.
func (d Description) sorted() Description {
	d.Fields = append([]string{}, slices.Sorted(slices.Values(d.Fields))...)
	d.Verbs = append([]Verb{}, slices.Sorted(slices.Values(d.Verbs))...)
	return d
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

// fieldOfCredential is what a field's name looks like.
var fieldOfCredential = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

// disagreement is what's wrong with a description, by its key in rota.yaml.
type disagreement struct{ key, hint, text string }

func (d disagreement) err() error {
	return rota.WithRemedies(errors.New(d.text), rota.Configure(d.key, d.hint))
}

// check is the first thing that's wrong.
func (d Description) check() error {
	for _, wrong := range d.wrong() {
		return wrong.err()
	}
	return nil
}

// wrong is everything that's wrong with a description.
func (d Description) wrong() []disagreement {
	var out []disagreement
	bad := func(key, hint, format string, args ...any) {
		out = append(out, disagreement{key, hint, fmt.Sprintf(format, args...)})
	}
	switch secret := slices.DeleteFunc(slices.Clone(d.Fields), func(f string) bool { return f == d.ID || f == rota.FieldExpiration }); {
	case !slices.Contains(d.Fields, d.ID):
		bad("fields", "fields: ["+d.ID+", key]", "the field %s, which identifies a credential, isn't among the fields", d.ID)
	case len(secret) == 0:
		bad("fields", "fields: ["+d.ID+", key]", "a credential needs a field beside the one that identifies it")
	}
	for n, field := range d.Fields {
		if !fieldOfCredential.MatchString(field) || slices.Contains(d.Fields[:n], field) {
			bad("fields", "letters, digits, _, - and ., each field once", "%q can't be one more field", field)
		}
	}
	if (d.Lifetime > 0) != slices.Contains(d.Fields, rota.FieldExpiration) {
		bad("lifetime", "both of them, or neither", "lifetime and a field %s belong together", rota.FieldExpiration)
	}
	if d.Limit < 0 || d.TestSuccesses < 0 || d.Settle < 0 || d.Lifetime < 0 {
		bad("limit", "", "limit, test_successes, settle and lifetime can't be negative")
	}
	for n, verb := range d.Verbs {
		if !slices.Contains(OptionalVerbs, verb) || slices.Contains(d.Verbs[:n], verb) {
			bad("verbs", joined(OptionalVerbs), "%q isn't one more optional verb", verb)
		}
	}
	if d.Has(VerbDeactivate) != d.Has(VerbReactivate) {
		bad("verbs", "the other one too, or neither", "deactivate and reactivate belong together")
	}
	if d.Has(VerbDeactivate) && !d.Has(VerbList) {
		bad("verbs", "list, deactivate, reactivate", "deactivate needs list, which says what is active")
	}
	if d.IssuerChooses && d.Lifetime == 0 && !d.Has(VerbList) {
		bad("verbs", "list", "without list, nothing tells what became of a credential if the answer to create is lost")
	}
	if d.IssuerChooses && d.Limit == 1 {
		bad("limit", "2, or issuer_chooses: false", "if a lost answer held the only credential, nobody would have one")
	}
	return out
}

func joined(verbs []Verb) string {
	var out []string
	for _, v := range verbs {
		out = append(out, string(v))
	}
	return strings.Join(out, ", ")
}

// fits checks that a new credential is what the description says.
func (d Description) fits(c rota.Credential) error {
	if names := c.Names(); !slices.Equal(names, d.sorted().Fields) {
		return errors.New("a credential with other fields than " + strings.Join(d.sorted().Fields, ", "))
	}
	for name, value := range c.Fields() {
		if value == "" {
			return fmt.Errorf("a credential whose field %s is empty", name)
		}
	}
	if !isID(c.Field(d.ID)) {
		return fmt.Errorf("a credential whose %s has control characters or is longer than %d bytes", d.ID, maxID)
	}
	if d.Lifetime > 0 && c.ExpiresAt().IsZero() {
		return fmt.Errorf("a credential whose %s isn't a time in RFC 3339", rota.FieldExpiration)
	}
	return nil
}

// maxID is how long an id can be.
const maxID = 1024

// isID reports whether a text can be shown as a credential's id, in a log and on a
// terminal.
func isID(text string) bool {
	return text != "" && len(text) <= maxID && !strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) })
}
