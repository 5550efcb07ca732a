package provider

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/rota-dev/rota"
)

// Validation is what a [Validator] reports to, with what's known around it.
type Validation struct {
	At   Pos  // of the kind's mapping
	Path Path // of the same
	// Connection is the configuration of the connection that stands beside an
	// issuer or a store; nil if there's none. ConnectionName is its name.
	Connection     any
	ConnectionName string
	// Issuer is the secret's issuer; zero for connections and notifiers.
	Issuer IssuerFacts
	// Passwords are the file's default rules.
	Passwords PasswordRules

	report func(Problem)
}

// IssuerFacts are what's known of an issuer before it is built.
type IssuerFacts struct {
	Connection string // the kind of its connection; "" for none
	Traits     rota.Traits
	Fields     Fields
}

// NewValidation makes a Validation that reports problems to a function.
func NewValidation(path Path, at Pos, report func(Problem)) *Validation {
	return &Validation{At: at, Path: path, report: report}
}

// Problem reports what's wrong with a key of the kind's mapping, or with all of
// it where key is "". At is where; where the file doesn't give that, the
// mapping. hint is what to write instead, such as "/etc/app", or "".
func (v *Validation) Problem(at Pos, key, hint, format string, args ...any) {
	v.Error(at, key, rota.WithRemedies(fmt.Errorf(format, args...), rota.Configure("", hint)))
}

// Error is Problem for an error, with the remedies that it carries. Those that
// change the configuration are about the key, unless they name another.
func (v *Validation) Error(at Pos, key string, err error) {
	if !at.IsSet() {
		at = v.At
	}
	path := v.Path
	if key != "" {
		path = path.Key(key)
	}
	v.report(Problem{At: at, Path: path, Message: err.Error(), Remedies: rota.RemediesOf(err)})
}

// SettingError is one thing wrong with a setting, by its key in rota.yaml.
type SettingError struct {
	Key     string
	Message string
}

// Error is key: message.
func (e *SettingError) Error() string { return e.Key + ": " + e.Message }

// Settings reports every [SettingError] of a joined error where its key stands
// in the file.
func (v *Validation) Settings(err error, places map[string]Pos) {
	if err == nil {
		return
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range joined.Unwrap() {
			v.Settings(one, places)
		}
		return
	}
	if e, ok := errors.AsType[*SettingError](err); ok {
		v.Error(places[e.Key], e.Key, rota.WithRemedies(errors.New(e.Message), rota.RemediesOf(err)))
		return
	}
	v.Error(v.At, "", err)
}

// FieldMap checks a map of outside names to the credential's fields or
// templates, and reports whether it is good.
func (v *Validation) FieldMap(key string, m map[string]Plain) bool {
	good := true
	for _, name := range slices.Sorted(maps.Keys(m)) {
		f := m[name]
		if _, err := rota.ParseFieldMap(map[string]string{name: f.Text}, v.Issuer.Fields.All); err != nil {
			v.Error(f.At, key, err)
			good = false
		}
	}
	return good
}

// KeepsLogin checks that a store's field map gives back every field that a
// login takes: one that is left out, or is only part of a template, would be
// lost. At is where to report what's missing.
func (v *Validation) KeepsLogin(at Pos, key string, m map[string]Plain) {
	if !v.FieldMap(key, m) || len(m) == 0 {
		return
	}
	fields, err := rota.ParseFieldMap(PlainTexts(m), v.Issuer.Fields.All)
	if err != nil {
		return // reported by FieldMap
	}
	for _, field := range v.Issuer.Fields.Login {
		if !slices.Contains(fields.Readable(), field) {
			v.Problem(at, key, "fields: {"+field+": "+field+"} among the others", "%s is in no entry of its own, so that Rota could not read it back", field)
		}
	}
}

// Password checks an issuer's own password rules. What the defaults alone make
// wrong is reported with them, once.
func (v *Validation) Password(own PasswordRules) {
	if (PasswordRules{}).Over(v.Passwords).Validate() != nil {
		return
	}
	if err := own.Over(v.Passwords).Validate(); err != nil {
		v.Error(Pos{}, "", err)
	}
}
