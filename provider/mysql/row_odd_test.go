package mysql

import (
	"strings"
	"testing"

	"github.com/rota-dev/rota"
	"github.com/rota-dev/rota/provider/sqlrow"
)

// A rollback undoes nothing in what's behind this view, and the server doesn't show
// what that is.
func TestViewsAreRefused(t *testing.T) {
	s := shared.Get(t)
	table, login := keysTable(t, s)
	view := strings.TrimSuffix(table, "api_keys") + "seen"
	s.Exec(t, "ALTER TABLE "+table+" ENGINE = MyISAM", "CREATE VIEW "+view+" AS SELECT * FROM "+table)
	target := must(connect(t, loginConfig(s, login)).Row("settings", rowOf(t, view, strings.Replace(updateMail, "name = 'mail'", "name IN ('mail', 'sms')", 1), "")))
	permit(t, s, target)
	wrong(t, target, "the server accepts", "is a view")
	wantError(t, target.Deliver(t.Context(), delivery(1)), rota.ClassStop, nil, view+" is a view", "the table itself")
	unchanged(t, s, table)
}

// MariaDB counts a row that's updated twice, and a third time for its history.
func TestAnUpsertWithHistoryIsOneRow(t *testing.T) {
	s := shared.Get(t)
	upsert := ways[2]
	target, table := settled(t, s, upsert.write, upsert.read)
	s.Exec(t, "ALTER TABLE "+table+" ADD SYSTEM VERSIONING")
	deliver(t, target, 1)
	if got := look(t, root(t, s), "SELECT secret FROM "+table+" WHERE name = 'mail'"); len(got) != 1 || *got[0]["secret"] != "secret-row-canary-1" {
		t.Errorf("%d rows hold the credential", len(got))
	}
	other := strings.Replace(upsert.write, "VALUES ('mail', :access_key_id, :secret_access_key)", "(SELECT CONCAT('new ', name), :access_key_id, :secret_access_key FROM "+table+")", 1)
	if _, err := sqlrow.ParseWrite(sqlrow.MySQL, strings.ReplaceAll(other, "TABLE", table)); err == nil {
		t.Error("two rows of a query would count as one that's updated")
	}
}

// A column that's too short shows before a rotation begins: an issuer with one
// password would have ended the old one by the time that the row can't be written.
func TestAColumnThatsTooShortShowsBefore(t *testing.T) {
	s := shared.Get(t)
	for _, test := range []struct{ name, write, kind, want string }{
		{"varchar", updateMail, "varchar(6)", ":secret_access_key: the value has 19 characters, and the column secret of "},
		{"varbinary, of an upsert", ways[2].write, "varbinary(18)", "has 19 bytes"},
		{"long enough", updateMail, "varchar(19)", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			target, table := settled(t, s, test.write, "")
			s.Exec(t, "ALTER TABLE "+table+" MODIFY secret "+test.kind)
			target.(rota.Preflighter).Preflight(t.Context())
			err := target.(rota.Accepter).Accept(key(1))
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
				deliver(t, target, 1)
				return
			}
			wantError(t, err, rota.ClassStop, nil, test.want, "a longer column")
			s.Exec(t, "ALTER TABLE "+table+" MODIFY secret text")
			deliver(t, target, 1) // whatever was measured before
		})
	}
}

// The server quotes a text that a column can't express from the middle on.
func TestAnErrorQuotesNoMiddle(t *testing.T) {
	s := shared.Get(t)
	target, table := settled(t, s, updateMail, "")
	s.Exec(t, "ALTER TABLE "+table+" MODIFY secret varchar(60) CHARACTER SET latin1")
	d := delivery(1)
	d.Credential = rota.NewCredential(map[string]string{rota.FieldAccessKeyID: "AKIA-row-canary-1", rota.FieldSecretAccessKey: "日tail-of-the-secret"})
	err := target.Deliver(t.Context(), d)
	wantError(t, err, rota.ClassStop, nil, "Incorrect string value", "[redacted]")
	database, _, _ := strings.Cut(table, ".")
	text := strings.ReplaceAll(err.Error(), database, "") // a random name, which may have any of them
	for _, part := range []string{"tail", "ta", "xE6"} {
		if strings.Contains(text, part) {
			t.Errorf("%q is in %v", part, err)
		}
	}
	unchanged(t, s, table)
}
