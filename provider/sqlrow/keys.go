package sqlrow

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider"
)

// Keys are what rota.yaml says about a row. Targets that write rows embed them.
type Keys struct {
	Statement      provider.Plain            `json:"statement" jsonschema:"The UPDATE or INSERT that writes the credential into exactly one row, with parameters such as :password for the values. If it would change more or fewer rows, it's rolled back."`
	Read           provider.Plain            `json:"read,omitzero" jsonschema:"A query that shows what the row holds, with columns named like the statement's parameters. With it, what's there already isn't written again."`
	Fields         map[string]provider.Plain `json:"fields,omitzero" default:"the credential's own fields" jsonschema:"The statement's parameters, each with a field of the credential or a template."`
	Document       provider.Plain            `json:"document,omitzero" jsonschema:"A parameter that gets the whole credential."`
	DocumentFormat provider.Plain            `json:"document_format,omitzero" enum:"json,dotenv,aws_credentials" default:"json" jsonschema:"The document's format: a JSON object, a line NAME='value' for each field, or an AWS credentials file."`
}

// parameterName is what a parameter's name looks like.
var parameterName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Check reports what's wrong with the keys.
func (k *Keys) Check(v *provider.Validation, d Dialect) {
	good := v.FieldMap("fields", k.Fields)
	for _, name := range slices.Sorted(maps.Keys(k.Fields)) {
		if !parameterName.MatchString(name) {
			v.Problem(k.Fields[name].At, "fields", "secret: secret_access_key, for :secret", "%q can't be a parameter's name", name)
			good = false
		}
	}
	if k.DocumentFormat.IsSet() && !k.Document.IsSet() {
		v.Problem(k.DocumentFormat.At, "document_format", "document: credential, for :credential", "belongs to a document")
	}
	if k.DocumentFormat.Text == string(provider.DocumentAWS) && !slices.Contains(v.Issuer.Fields.All, rota.FieldAccessKeyID) {
		v.Problem(k.DocumentFormat.At, "document_format", "json", "aws_credentials needs an access key, and the issuer makes a %s", v.Issuer.Traits.Kind)
	}
	if _, twice := k.Fields[k.Document.Text]; twice {
		v.Problem(k.Document.At, "document", "a name of its own", ":%s is among the fields too", k.Document.Text)
	}
	if !k.Statement.IsSet() || k.Statement.Text == "" {
		return // reported already
	}
	w, err := ParseWrite(d, k.Statement.Text)
	if err != nil {
		v.Error(k.Statement.At, "statement", err)
		return
	}
	var r *Read
	if k.Read.IsSet() && k.Read.Text != "" {
		if r, err = ParseRead(d, k.Read.Text); err != nil {
			v.Error(k.Read.At, "read", err)
			return
		}
	}
	if good {
		k.checkParameters(v, w, r)
	}
	if r == nil && !w.repeatable {
		hint := "read: SELECT …, or ON CONFLICT … DO UPDATE"
		if d == MySQL {
			hint = "read: SELECT …, or ON DUPLICATE KEY UPDATE"
		}
		v.Problem(k.Statement.At, "read", hint, "without read, Rota couldn't tell whether an INSERT whose answer was lost did add the row, and might add another")
	}
}

// checkParameters compares the parameters that the statements have with the values
// that there are.
func (k *Keys) checkParameters(v *provider.Validation, w *Write, r *Read) {
	known := slices.Sorted(maps.Keys(k.Fields))
	if len(known) == 0 {
		known = slices.Clone(v.Issuer.Fields.All)
		if k.Document.IsSet() { // the fields may be in the document alone
			known = append(known, k.Document.Text)
		}
	} else if k.Document.IsSet() {
		known = append(known, k.Document.Text)
	}
	unknown := func(s *Statement, at provider.Pos, key string) {
		for _, t := range s.tokens {
			if t.kind == parameter && !slices.Contains(known, t.text) {
				v.Error(at, key, problem(s.text, t.at, strings.Join(known, ", "), "there's no value for :%s", t.text))
			}
		}
	}
	unknown(w.Statement, k.Statement.At, "statement")
	if r != nil {
		unknown(r.Statement, k.Read.At, "read")
	}
	for _, name := range slices.Sorted(maps.Keys(k.Fields)) {
		if !slices.Contains(w.Parameters, name) {
			v.Problem(k.Fields[name].At, "fields", ":"+name+" in the statement", "the statement doesn't use :%s", name)
		}
	}
	if k.Document.IsSet() && !slices.Contains(w.Parameters, k.Document.Text) {
		v.Problem(k.Document.At, "document", ":"+k.Document.Text+" in the statement", "the statement doesn't use :%s", k.Document.Text)
	}
}

// Row is what the keys say, which were checked with the file.
func (k *Keys) Row(b *provider.Build, d Dialect) *Row {
	row := &Row{Document: k.Document.Text, Format: provider.DocumentFormat(k.DocumentFormat.Text), Fields: b.Fields(k.Fields)}
	var err error
	if row.Write, err = ParseWrite(d, k.Statement.Text); err != nil {
		b.Fail(fmt.Errorf("statement: %w", err))
	}
	if k.Read.IsSet() {
		if row.Read, err = ParseRead(d, k.Read.Text); err != nil {
			b.Fail(fmt.Errorf("read: %w", err))
		}
	}
	if err == nil && row.Read == nil && row.Write != nil && !row.Write.repeatable {
		b.Fail(errors.New("an INSERT that can't be repeated needs read"))
	}
	return row
}

// Claim is the claim on the row, if the statement's text shows which one it is. Two
// secrets may write to one row if each names its columns and they have none in
// common. database is where tables without a schema are, and tells apart databases
// of one server whose schemas have the same names.
func (k *Keys) Claim(d Dialect, connection, database string) []provider.Claim {
	w, err := ParseWrite(d, k.Statement.Text)
	if err != nil || w.Key == "" {
		return nil
	}
	table := w.Table.String()
	space := database
	if d == MySQL { // a schema is a database
		if w.Table.Schema == "" {
			table = database + "." + table
		}
		space, table = "", strings.ToLower(table)
	}
	c := provider.Claim{
		Kind: "database row", Name: strings.Join([]string{space, table, w.Key}, "\x00"), Connection: connection,
		Shown: "the row of " + table + " where " + w.Key, At: k.Statement.At,
	}
	if len(w.Columns) > 0 {
		c.Form = "columns"
		for _, column := range w.Columns {
			c.Parts = append(c.Parts, w.column(column))
		}
		slices.Sort(c.Parts)
	}
	return []provider.Claim{c}
}
