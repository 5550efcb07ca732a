package postgres

import (
	"testing"

	"github.com/rota-dev/rota"
)

// A column that's too short shows before a rotation begins: an issuer with one
// password would have ended the old one by the time that the row can't be written.
func TestAColumnThatsTooShortShowsBefore(t *testing.T) {
	s := shared.Get(t)
	for _, test := range []struct{ name, alter, want string }{
		{"varchar", "varchar(6)", ":secret_access_key: the value has 19 characters, and the column secret of "},
		{"char", "char(18)", "takes 18"},
		{"long enough", "varchar(19)", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			target, table := settled(t, s, updateMail, "")
			s.Exec(t, "DROP TRIGGER changes ON public."+table, "ALTER TABLE public."+table+" ALTER secret TYPE "+test.alter)
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
			s.Exec(t, "ALTER TABLE public."+table+" ALTER secret TYPE text")
			deliver(t, target, 1) // whatever was measured before
		})
	}
}
